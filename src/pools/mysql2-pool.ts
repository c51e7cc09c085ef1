import type { Connection, Pool as MysqlPool, PoolConnection } from 'mysql2';
import { z } from 'zod';
import {
  clientConfig,
  clientKnobs,
  clientSettings,
  ms,
  timerKnob,
  tracker,
  versions,
} from './mysql2/client.ts';
import { MysqlLease } from './mysql2/lease.ts';
import type { Pool, PoolAdapter } from './pool.ts';

const settings = z.strictObject({
  ...clientSettings,
  /** 0: as many as are asked for. */
  connectionLimit: z.number().int().min(0).max(1000).default(10),
  /** Not given: as many as connectionLimit, and then idleTimeout does nothing. */
  maxIdle: z.number().int().min(0).max(1000).optional(),
  idleTimeout: ms().default(60_000),
  /** 0: as many waiters as come. */
  queueLimit: z.number().int().min(0).max(1_000_000).default(0),
  waitForConnections: z.boolean().default(true),
  resetOnRelease: z.boolean().default(false),
  gracefulEnd: z.boolean().default(false),
});
type Settings = z.infer<typeof settings>;

/** The driver's own lists, the only place where they are. */
interface Innards {
  _allConnections: { length: number; push(connection: Connection): void };
  _freeConnections: { length: number };
  _connectionQueue: { length: number };
}

/** The driver's reaper runs for a maxIdle under the limit only. */
const reaps = ({ maxIdle, connectionLimit }: Settings): boolean =>
  (maxIdle ?? connectionLimit) < connectionLimit;

const maxOf = ({ connectionLimit }: Settings): number | null =>
  connectionLimit === 0 ? null : connectionLimit;

/** The pool of mysql2, with its own defaults. It has no acquire timeout, and its pool no event 'error'. */
export const mysql2Pool: PoolAdapter = {
  name: 'mysql2-pool',
  summary: 'createPool of mysql2, in its own units and defaults',
  engines: ['mariadb', 'mysql'],
  settings,
  knobs: {
    ...clientKnobs,
    connectionLimit: { scales: false },
    maxIdle: { scales: false },
    idleTimeout: timerKnob,
    queueLimit: { scales: false },
    waitForConnections: { scales: false },
    resetOnRelease: { scales: false },
    gracefulEnd: { scales: false },
  },
  max: given => maxOf(given as Settings),
  acquireTimeoutMs: () => null,
  reaperMs: given => (reaps(given as Settings) ? 1000 : null),
  versions,
  async open(options) {
    // Here, so that the workers of other adapters do not carry it.
    const { createPool } = await import('mysql2');
    const given = options.settings as Settings;
    const pool = createPool({ ...clientConfig(options), ...poolOnly(given) });
    return opened(pool, maxOf(given), options);
  },
};

const poolOnly = (given: Settings) =>
  Object.fromEntries(
    Object.entries(given).filter(([knob, value]) => !(knob in clientSettings) && value !== undefined),
  );

function opened(
  pool: MysqlPool,
  max: number | null,
  { app, hooks }: Parameters<PoolAdapter['open']>[0],
): Pool {
  const lists = pool as unknown as Innards;
  const idOf = tracker(hooks);
  tellOpenings(lists, idOf);
  if (app.onClientError === 'listen') pool.on('connection', connection => connection.on('error', () => {}));
  const lease = (connection: PoolConnection) =>
    new MysqlLease(connection, idOf(connection), app.statementTimeoutMs, error =>
      error ? connection.destroy() : connection.release(),
    );
  return {
    acquire: () =>
      new Promise((resolve, reject) => {
        pool.getConnection((error, connection) => {
          if (error) reject(error);
          else resolve(lease(connection));
        });
      }),
    gauges: () => ({
      total: lists._allConnections.length,
      idle: lists._freeConnections.length,
      waiting: lists._connectionQueue.length,
      max,
    }),
    close: () => new Promise((resolve, reject) => pool.end(error => (error ? reject(error) : resolve()))),
  };
}

/** The pool tells of a connection once it is open; when it begins is seen where it is put on the pool's list. */
function tellOpenings({ _allConnections: list }: Innards, begun: (connection: Connection) => unknown): void {
  const push = list.push.bind(list);
  list.push = connection => {
    begun(connection);
    push(connection);
  };
}
