import type { ErrorFacts } from '../ledger/record.ts';
import { errorTextMax } from './protocol.ts';

interface DriverError {
  code?: unknown;
  errno?: unknown;
  sqlState?: unknown;
  severity?: unknown;
  message?: unknown;
}

/** The facts of a driver's error: a SQLSTATE or errno only where a server sent it. */
export function errorFacts(error: unknown): ErrorFacts {
  const { code, errno, sqlState, severity, message } = (error ?? {}) as DriverError;
  const text = typeof message === 'string' ? message : String(error);
  const fromPostgres = typeof severity === 'string' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
  const fromMysql = typeof sqlState === 'string' && typeof errno === 'number' && errno > 0;
  return {
    code: typeof code === 'string' && !fromPostgres ? code : null,
    // Before a client has said what it speaks, MySQL refuses it (1040) without a SQLSTATE.
    sqlState: fromPostgres ? (code as string) : (fromMysql && (sqlState as string)) || null,
    errno: fromMysql ? (errno as number) : null,
    message: text.slice(0, errorTextMax),
  };
}

/** MySQL and MariaDB: the server ends the session with such an answer. Shutdown, KILL, idle for too long. */
const sessionEnds = new Set([1053, 1927, 4031]);

/** The server refused the statement and the connection lives on: ROLLBACK makes it usable again. */
export function connectionSurvives(error: unknown): boolean {
  const { severity } = (error ?? {}) as DriverError;
  if (severity !== undefined) return severity === 'ERROR';
  const { errno } = errorFacts(error);
  return errno !== null && !sessionEnds.has(errno) && (error as { fatal?: boolean }).fatal !== true;
}
