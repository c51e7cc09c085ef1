import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import type { Knob, Lease, OpenPool, PoolHooks, QueryAnswer } from '../pool.ts';

const ms = () => z.number().int().min(0);

/** Knobs of a `pg.Client`, with the driver's own defaults. 0 is off. */
export const clientSettings = {
  connectionTimeoutMillis: ms().default(0),
  query_timeout: ms().default(0),
  statement_timeout: ms().default(0),
  lock_timeout: ms().default(0),
  idle_in_transaction_session_timeout: ms().default(0),
  keepAlive: z.boolean().default(false),
  keepAliveInitialDelayMillis: ms().default(0),
};

/** Node's timers are off by a few ms, so a shorter limit would measure the timer and not the pool. */
const timer: Knob = { scales: true, granularityMs: 1, realFloorMs: 20 };

export const clientKnobs: Record<string, Knob> = {
  connectionTimeoutMillis: timer,
  query_timeout: timer,
  statement_timeout: timer,
  lock_timeout: timer,
  idle_in_transaction_session_timeout: timer,
  keepAlive: { scales: false },
  // The kernel counts keepalive in whole seconds.
  keepAliveInitialDelayMillis: { scales: false, granularityMs: 1000 },
};

export const timerKnob = timer;

const require = createRequire(import.meta.url);
// pg-pool does not export its package.json, so that one is found beside its entry.
export const versions = (): Record<string, string> => ({
  pg: require('pg/package.json').version,
  'pg-pool': require(join(dirname(require.resolve('pg-pool')), 'package.json')).version,
});

/**
 * A pg.Client class that tells the hooks what its connections do. It adds no 'error' listener:
 * whether a lost client kills its process is the candidate's own affair.
 */
export function trackedClient(hooks: PoolHooks): {
  Client: typeof pg.Client;
  leaseOf: (client: pg.Client) => number;
} {
  let opened = 0;
  const ids = new WeakMap<pg.Client, number>();
  class TrackedClient extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      opened += 1;
      const conn = opened;
      ids.set(this, conn);
      const events = this as unknown as NodeJS.EventEmitter;
      hooks.conn({ conn, ev: 'opening' });
      // Not at 'connect': pg calls whoever waits for the client, pg-pool for one, before that event.
      (this as unknown as Innards).connection.once('readyForQuery', () =>
        hooks.conn({ conn, ev: 'open', localPort: localPortOf(this), backend: backendOf(this) }),
      );
      events.once('end', () => hooks.conn({ conn, ev: 'close' }));
    }
  }
  return { Client: TrackedClient, leaseOf: client => ids.get(client) ?? 0 };
}

interface Innards {
  connection: NodeJS.EventEmitter & { stream?: { localPort?: number } };
  processID?: number | null;
}
const localPortOf = (client: pg.Client): number | null =>
  (client as unknown as Innards).connection.stream?.localPort ?? null;
const backendOf = (client: pg.Client): number | null => (client as unknown as Innards).processID ?? null;

/** What `new pg.Client` is given; 0 means "not set" to the driver, so it is left out. */
export function clientConfig({ endpoint, settings, app }: OpenPool): pg.ClientConfig {
  const set = Object.fromEntries(
    Object.entries(settings).filter(([knob, value]) => knob in clientSettings && value !== 0),
  );
  return {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    password: endpoint.password,
    database: endpoint.database,
    application_name: 'poolsoak-app',
    ...(app.statementTimeoutMs === null ? {} : { statement_timeout: app.statementTimeoutMs }),
    ...set,
  };
}

/** A lease on a client; how it is given back is the pool's affair. */
export class PgLease implements Lease {
  readonly conn: number;
  readonly release: Lease['release'];
  #client: pg.ClientBase;

  constructor(client: pg.ClientBase, conn: number, release: Lease['release']) {
    this.#client = client;
    this.conn = conn;
    this.release = release;
  }

  /** By callback, since pg would make a promise of its own, and we another from it, for every statement. */
  query(sql: string, params?: readonly unknown[]): Promise<QueryAnswer> {
    return new Promise((resolve, reject) => {
      this.#client.query(sql, params as unknown[], (error: Error | null, result) => {
        if (error) reject(error);
        else resolve(answerOf(result));
      });
    });
  }

  begin(lockTimeoutMs?: number): Promise<QueryAnswer> {
    if (lockTimeoutMs === undefined) return this.query('BEGIN');
    // One round trip for both.
    return this.query(`BEGIN; SET LOCAL lock_timeout = ${Math.max(1, Math.round(lockTimeoutMs))}`);
  }

  commit(): Promise<QueryAnswer> {
    return this.query('COMMIT');
  }

  rollback(): Promise<QueryAnswer> {
    return this.query('ROLLBACK');
  }
}

/** pg answers several statements with a list; the first of them names what was asked for. */
function answerOf(result: pg.QueryResult | pg.QueryResult[]): QueryAnswer {
  const { command, rowCount } = Array.isArray(result) ? result[0]! : result;
  return { tag: command, rowCount: rowCount ?? 0 };
}
