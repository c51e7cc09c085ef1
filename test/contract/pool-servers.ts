import type { Endpoint } from '../../src/pools/pool.ts';
import { noMariaDb } from '../fixtures/mariadb.ts';
import { openAppMariaDb } from '../fixtures/mariadb-app.ts';
import { openTestWorld, trial } from '../world/support.ts';

/** A real server for the contract of the pools. */
export interface PoolServer {
  endpoint: Endpoint;
  /** The app's. */
  sessions(): Promise<number>;
  /** From here on it has room for so many of the app. */
  leaveSlots(slots: number): Promise<void>;
  close(): Promise<void>;
}

/** What an engine says, and how it is asked. */
export interface Engine {
  /** Why there is no such server here, or null. */
  absent: string | null;
  open(): Promise<PoolServer>;
  /** One row. */
  one: [sql: string, params: unknown[]];
  /** A statement that fails, as what, and the tag of a COMMIT after it. */
  broken: { sql: string; error: object; commit: string };
  /** Takes a second or longer; what the statement timeout makes of it. */
  slow: { sql: string; error: object };
  /** Answered with one row when the lock timeout is the one of `begin(1234)`, or the server's own. */
  lockTimeoutIs: { set: string; own: string };
  /** The server is full. */
  refused: object;
}

const postgres: Engine = {
  absent: null,
  open: async () => {
    const test = await openTestWorld();
    const { sideDoor, endpoint } = test.world;
    await sideDoor.createTables(trial);
    return {
      endpoint,
      sessions: async () => (await sideDoor.sessions()).sessions,
      // As the test world is made.
      leaveSlots: () => Promise.resolve(),
      close: test.close,
    };
  },
  one: ['SELECT $1::int AS n', [1]],
  broken: { sql: 'SELECT 1/0', error: { code: '22012', severity: 'ERROR' }, commit: 'ROLLBACK' },
  slow: { sql: 'SELECT pg_sleep(5)', error: { code: '57014' } },
  lockTimeoutIs: {
    set: "SELECT WHERE current_setting('lock_timeout') = '1234ms'",
    own: "SELECT WHERE current_setting('lock_timeout') = '0'",
  },
  refused: { code: '53300' },
};

const mariadb: Engine = {
  absent: noMariaDb,
  open: () => openAppMariaDb(trial),
  one: ['SELECT ? AS n', [1]],
  // Here a transaction outlives a failed statement, and is committed.
  broken: {
    sql: 'SELECT * FROM no_such_table',
    error: { errno: 1146, sqlState: '42S02' },
    commit: 'COMMIT',
  },
  slow: { sql: 'SELECT SLEEP(1)', error: { code: 'PROTOCOL_SEQUENCE_TIMEOUT' } },
  lockTimeoutIs: {
    set: 'SELECT 1 FROM DUAL WHERE @@innodb_lock_wait_timeout = 2',
    own: 'SELECT 1 FROM DUAL WHERE @@innodb_lock_wait_timeout = 50',
  },
  refused: { errno: 1040 },
};

/** Of the engines that pools are for, those that can be had in a test. */
export const engines: Partial<Record<Endpoint['engine'], Engine>> = { postgres, mariadb };
