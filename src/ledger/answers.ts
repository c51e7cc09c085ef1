import type { ErrorFacts, Step } from './record.ts';

/**
 * What a server's error answer says about a write, by SQLSTATE and errno and never by message text. The
 * worker decides by it what may be tried again, the judge what is certain: one table for both.
 */
type Answer = Pick<ErrorFacts, 'sqlState' | 'errno'>;

const integrityErrnos = new Set([1062, 1452, 3819, 4025]);

/** The write itself was refused, and only the write. */
export function isIntegrityError({ sqlState, errno }: Answer): boolean {
  if (errno !== null) return integrityErrnos.has(errno);
  return sqlState?.startsWith('23') ?? false;
}

/** The server's answer is about the connection or the server, so the commit may have happened before it. */
const doubtfulState = /^(40003|08|57P0|53|58|XX)/;
/** MySQL and MariaDB: answers that may come after the commit. 1969, a max_statement_time, ends as KILL QUERY (1317). */
const doubtfulErrnos = new Set([1053, 1180, 1317, 1927, 1969, 4031]);
/**
 * MySQL and MariaDB: the only answers to COMMIT that say it did not happen, and will not. After others (1317) the
 * transaction may still be open, and the next BEGIN on its connection commits it.
 */
const certainCommitErrnos = new Set([1213, 1290, 3101]);

/** An answer to COMMIT, or to the write in autocommit, that says it did not commit. */
export function excludesCommit(step: Step, { sqlState, errno }: Answer): boolean {
  if (errno !== null) return step === 'commit' ? certainCommitErrnos.has(errno) : !doubtfulErrnos.has(errno);
  return sqlState !== null && !doubtfulState.test(sqlState);
}
