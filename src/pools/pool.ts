import type { z } from 'zod';
import type { Clock } from '../clock.ts';

/** Where the app connects: through the fault proxy, as an ordinary database user. */
export interface Endpoint {
  engine: 'postgres' | 'mariadb' | 'mysql';
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

export interface RetryHabit {
  /** Attempts after the first. */
  max: number;
  backoffMs: number;
  /** `certain`: only what surely was not written; `any`: whatever was not answered. */
  on: 'certain' | 'any';
  /** `key-table`: the submit's key is inserted in the same transaction, so that a second try finds it. */
  idempotency: 'none' | 'key-table';
  /** How long the key's insert may wait for another transaction that holds the same key. */
  lockTimeoutMs: number;
}

/** What an application does around its pool, whatever the pool. */
export interface AppHabits {
  transaction: 'explicit' | 'autocommit';
  /** `on-success` is the leak; `with-error` hands a broken connection back with its error. */
  release: 'always' | 'on-success' | 'with-error';
  onPoolError: 'listen' | 'none';
  onClientError: 'listen' | 'none';
  statementTimeoutMs: number | null;
  retry: RetryHabit | null;
  /** Give up the connection when the user has gone, ms after the submit came; null: work on. */
  cancelOnPatienceMs: number | null;
}

/** How a knob behaves under `--speed`. */
export interface Knob {
  /** Divided by the speed. */
  scales: boolean;
  /** Smallest step the knob takes, real ms after scaling. */
  granularityMs?: number;
  /** Below this the pool or the kernel does something else, real ms. */
  realFloorMs?: number;
  /** Milliseconds in one unit of the knob; 1 unless said (maxLifetimeSeconds: 1000). */
  unitMs?: number;
}

export interface QueryAnswer {
  /** Command tag: INSERT, COMMIT, ROLLBACK, ... */
  tag: string;
  rowCount: number;
}

/** A borrowed connection. */
export interface Lease {
  /** Id of the connection, unique in this pool. */
  readonly conn: number;
  query(sql: string, params?: readonly unknown[]): Promise<QueryAnswer>;
  /** With a lock timeout: of this transaction only. */
  begin(lockTimeoutMs?: number): Promise<QueryAnswer>;
  commit(): Promise<QueryAnswer>;
  rollback(): Promise<QueryAnswer>;
  /** Hands it back; with an error the pool is asked to destroy it. */
  release(error?: Error): void | Promise<void>;
}

export interface PoolGauges {
  total: number;
  idle: number;
  /** Calls to acquire that still wait, as the pool counts them. */
  waiting: number;
  max: number | null;
}

/** What the pool's connections do, for the record. Who borrows them when is known without the pool. */
export interface PoolHooks {
  conn(event: {
    conn: number;
    ev: 'opening' | 'open' | 'close';
    localPort?: number | null;
    backend?: number | null;
    why?: string | null;
  }): void;
}

export interface OpenPool {
  endpoint: Endpoint;
  /** Validated, scaled, real units. */
  settings: Record<string, unknown>;
  app: AppHabits;
  hooks: PoolHooks;
  clock: Clock;
}

export interface Pool {
  acquire(): Promise<Lease>;
  gauges(): PoolGauges;
  /** Ends every connection; may hang when a lease is out. */
  close(): Promise<void>;
}

/** A pool adapter: our thin file around one driver or pool. */
export interface PoolAdapter {
  name: string;
  /** One line for `poolsoak list`. */
  summary: string;
  engines: readonly Endpoint['engine'][];
  settings: z.ZodObject;
  knobs: Record<string, Knob>;
  /** The most connections one pool may hold, null without a bound. */
  max(settings: Record<string, unknown>): number | null;
  /** How long acquire waits before it gives up, real ms; null: for ever. */
  acquireTimeoutMs(settings: Record<string, unknown>): number | null;
  /** The step of the reaper that keeps the idle limit of such settings, real ms: `--speed` cannot scale it. null: none. */
  reaperMs?(settings: Record<string, unknown>): number | null;
  versions(): Record<string, string>;
  /** Why it cannot run in virtual time, for people: sockets or timers that are not node's. Left out: it can. */
  notVirtual?: string;
  open(options: OpenPool): Pool | Promise<Pool>;
}
