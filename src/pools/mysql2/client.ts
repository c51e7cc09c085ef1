import { createRequire } from 'node:module';
import type { Connection, ConnectionOptions, QueryError, QueryResult } from 'mysql2';
import { z } from 'zod';
import type { Knob, OpenPool, PoolHooks } from '../pool.ts';

const dayMs = 24 * 60 * 60 * 1000;
export const ms = () => z.number().int().min(0).max(dayMs);

/** Knobs of a mysql2 connection, in ms, with the driver's own defaults. 0 is off. */
export const clientSettings = {
  connectTimeout: ms().default(10_000),
  enableKeepAlive: z.boolean().default(true),
  // The driver leaves it to the kernel (two hours); so does node with 0.
  keepAliveInitialDelay: ms().default(0),
};

/** Node's timers are off by a few ms, so a shorter limit would measure the timer and not the pool. */
export const timerKnob: Knob = { scales: true, granularityMs: 1, realFloorMs: 20 };

export const clientKnobs: Record<string, Knob> = {
  connectTimeout: timerKnob,
  enableKeepAlive: { scales: false },
  // The kernel counts keepalive in whole seconds.
  keepAliveInitialDelay: { scales: false, granularityMs: 1000 },
};

export const versions = (): Record<string, string> => ({
  mysql2: createRequire(import.meta.url)('mysql2/package.json').version,
});

/** What a connection is given. */
export function clientConfig({ endpoint, settings }: OpenPool): ConnectionOptions {
  const set = Object.entries(settings).filter(([knob]) => knob in clientSettings);
  return {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    password: endpoint.password,
    database: endpoint.database,
    connectAttributes: { program_name: 'poolsoak-app' },
    ...Object.fromEntries(set),
  };
}

const streamOf = (connection: Connection) =>
  (connection as unknown as { stream: NodeJS.EventEmitter & { localPort?: number } }).stream;

/** The socket is gone. The driver's 'end' does not come after a reset. */
export const onClose = (connection: Connection, then: () => void) => streamOf(connection).once('close', then);

/**
 * Tells the hooks what connections do, and gives each an id. It listens to no 'error' of theirs: whether a lost
 * connection kills its process is the candidate's own affair. The socket's is heard by the driver already.
 */
export function tracker({ conn: tell }: PoolHooks): (connection: Connection) => number {
  let last = 0;
  const ids = new WeakMap<Connection, number>();
  return connection => {
    const known = ids.get(connection);
    if (known !== undefined) return known;
    last += 1;
    const conn = last;
    ids.set(connection, conn);
    const stream = streamOf(connection);
    let why: { why?: string } = {};
    tell({ conn, ev: 'opening' });
    // Heard before whoever waits for the connection, since it listens later.
    connection.once('connect', () =>
      tell({ conn, ev: 'open', localPort: stream.localPort ?? null, backend: connection.threadId }),
    );
    stream.once('error', ({ code }: NodeJS.ErrnoException) => {
      why = code === undefined ? {} : { why: code };
    });
    onClose(connection, () => tell({ conn, ev: 'close', ...why }));
    return conn;
  };
}

/** By callback, since mysql2's promises are a layer around it. `values` are escaped by the driver. */
export const ask = (connection: Connection, sql: string, values: unknown[], timeoutMs: number | null) =>
  new Promise<QueryResult>((resolve, reject) => {
    const timeout = timeoutMs === null ? {} : { timeout: timeoutMs };
    connection.query({ sql, values, ...timeout }, (error: QueryError | null, result: QueryResult) => {
      if (error) reject(error);
      else resolve(result);
    });
  });

const goodbyes = new WeakMap<Connection, Promise<void>>();

/** Says goodbye to the server, once; done when the socket is gone. Behind a statement without an answer it waits. */
export function end(connection: Connection): Promise<void> {
  const saying =
    goodbyes.get(connection) ??
    new Promise<void>((resolve, reject) => {
      onClose(connection, resolve);
      connection.end(error => {
        if (error) reject(error);
      });
    });
  goodbyes.set(connection, saying);
  return saying;
}
