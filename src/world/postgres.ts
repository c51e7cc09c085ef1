import pg from 'pg';
import { type Clock, waitUntil } from '../clock.ts';
import type { Connection, Row } from './connection.ts';
import type { Kept } from './kept.ts';
import type { SessionCounts, SideDoor, StoredRow } from './world.ts';

/** PostgreSQL in SQL: what is set up before the app comes, asked while it runs and read afterwards. */

export const superuser = 'postgres';
export const appUser = 'poolsoak_app';
export const database = 'poolsoak';

const patientLimitMs = 10_000;
const sampleLimitMs = 2_000;
const endLimitMs = 10_000;
const endPollMs = 20;
const readLimitMs = 60_000;
const batchRows = 5_000;

const ident = pg.escapeIdentifier;
const literal = pg.escapeLiteral;

/** On a connection to the database that is always there: the app's role and database. */
export async function createAppDatabase(connection: Connection, appPassword: string): Promise<void> {
  const [role, db] = [ident(appUser), ident(database)];
  await connection.query(
    `CREATE ROLE ${role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD ${literal(appPassword)}`,
  );
  await connection.query(`CREATE DATABASE ${db}`);
  await connection.query(`REVOKE ALL ON DATABASE ${db} FROM PUBLIC`);
  await connection.query(`GRANT CONNECT ON DATABASE ${db} TO ${role}`);
}

export async function serverVersion(connection: Connection): Promise<string> {
  const [row] = await connection.query('SHOW server_version');
  return String(row!.server_version);
}

function tablesOf(trial: string): { writes: string; keys: string } {
  if (!/^[a-z0-9]{1,32}$/.test(trial)) throw new Error(`not a trial id: ${JSON.stringify(trial)}`);
  return { writes: `poolsoak_${trial}_writes`, keys: `poolsoak_${trial}_keys` };
}

/** No unique key on the write table: it would hide duplicates. */
async function createTables(
  connection: Connection,
  trial: string,
): Promise<{ writes: string; keys: string }> {
  const { writes, keys } = tablesOf(trial);
  await connection.query(
    `CREATE TABLE ${ident(writes)} (trial text NOT NULL, session int NOT NULL, seq int NOT NULL,
       attempt int NOT NULL, "row" int NOT NULL, "of" int NOT NULL, payload_sha char(64) NOT NULL,
       valid bool NOT NULL CHECK (valid), xid xid8 NOT NULL DEFAULT pg_current_xact_id())`,
  );
  await connection.query(
    `CREATE TABLE ${ident(keys)} (trial text, session int, seq int, PRIMARY KEY (trial, session, seq))`,
  );
  await connection.query(`GRANT INSERT ON ${ident(writes)} TO ${ident(appUser)}`);
  await connection.query(`GRANT INSERT ON ${ident(keys)} TO ${ident(appUser)}`);
  return { writes, keys };
}

async function countSessions(connection: Connection): Promise<SessionCounts> {
  const [row] = await connection.query(
    `SELECT count(*)::int AS sessions,
       count(*) FILTER (WHERE state = 'active')::int AS active,
       count(*) FILTER (WHERE state = 'idle')::int AS idle,
       count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS "idleInTransaction"
     FROM pg_stat_activity WHERE usename = $1`,
    [appUser],
    sampleLimitMs,
  );
  return row as unknown as SessionCounts;
}

async function endSessions(connection: Connection, clock: Clock): Promise<number> {
  const terminate = async (): Promise<number> => {
    const rows = await connection.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1',
      [appUser],
    );
    return rows.length;
  };
  const found = await terminate();
  let left = found;
  const none = async (): Promise<boolean> => {
    if (left > 0) left = await terminate();
    return left === 0;
  };
  const waited = await waitUntil(clock, none, { everyMs: endPollMs, limitMs: endLimitMs });
  if (waited === 'met') return found;
  throw new Error(`${left} of ${found} sessions of ${appUser} did not end within ${endLimitMs} ms`);
}

function stored(row: Row): StoredRow {
  return { ...(row as unknown as StoredRow), sha: String(row.sha).trimEnd() };
}

/** By a cursor: the table of a long run does not fit into memory twice. */
async function readRows(
  connection: Connection,
  trial: string,
  each: (row: StoredRow) => void,
): Promise<number> {
  const { writes } = tablesOf(trial);
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await connection.query("SET LOCAL work_mem = '64MB'");
    await connection.query(
      `DECLARE every_row NO SCROLL CURSOR FOR
       SELECT trial, session, seq, attempt, "row", "of", payload_sha AS sha, valid, xid::text AS xid
       FROM ${ident(writes)} ORDER BY session, seq, "row", attempt, xid`,
    );
    let count = 0;
    for (;;) {
      const rows = await connection.query(`FETCH ${batchRows} FROM every_row`, [], readLimitMs);
      for (const row of rows) each(stored(row));
      count += rows.length;
      if (rows.length < batchRows) return count;
    }
  } finally {
    if (connection.alive) await connection.query('ROLLBACK');
  }
}

async function countRows(connection: Connection, trial: string): Promise<number> {
  const [row] = await connection.query(
    `SELECT count(*)::int AS n FROM ${ident(tablesOf(trial).writes)}`,
    [],
    readLimitMs,
  );
  return row!.n as number;
}

export function sideDoorOf(kept: Kept, clock: Clock): SideDoor {
  const patiently = <T>(work: (connection: Connection) => Promise<T>): Promise<T> =>
    kept.use({ connectLimitMs: patientLimitMs }, work);
  return {
    createTables: trial => patiently(connection => createTables(connection, trial)),
    sessions: () => kept.use({ connectLimitMs: sampleLimitMs, once: true }, countSessions),
    endAppSessions: () => patiently(connection => endSessions(connection, clock)),
    preparedTransactions: () =>
      patiently(async connection => {
        const [row] = await connection.query('SELECT count(*)::int AS n FROM pg_prepared_xacts');
        return row!.n as number;
      }),
    readRows: (trial, each) => patiently(connection => readRows(connection, trial, each)),
    countRows: trial => patiently(connection => countRows(connection, trial)),
  };
}
