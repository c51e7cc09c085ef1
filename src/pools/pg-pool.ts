import pg from 'pg';
import { z } from 'zod';
import {
  clientConfig,
  clientKnobs,
  clientSettings,
  PgLease,
  timerKnob,
  trackedClient,
  versions,
} from './pg/client.ts';
import type { PoolAdapter } from './pool.ts';

const settings = z.strictObject({
  ...clientSettings,
  max: z.number().int().min(1).max(1000).default(10),
  min: z.number().int().min(0).max(1000).default(0),
  idleTimeoutMillis: z.number().int().min(0).default(10_000),
  maxUses: z.number().int().min(1).optional(),
  maxLifetimeSeconds: z.number().min(0).default(0),
});

/** `pg.Pool` (the package pg-pool), with its own defaults. */
export const pgPool: PoolAdapter = {
  name: 'pg-pool',
  summary: 'pg.Pool of node-postgres, in its own units and defaults',
  engines: ['postgres'],
  settings,
  knobs: {
    ...clientKnobs,
    max: { scales: false },
    min: { scales: false },
    idleTimeoutMillis: timerKnob,
    maxUses: { scales: false },
    maxLifetimeSeconds: { scales: true, granularityMs: 1, realFloorMs: 20, unitMs: 1000 },
  },
  max: given => given.max as number,
  acquireTimeoutMs: given => (given.connectionTimeoutMillis as number) || null,
  versions,
  open(options) {
    const { app } = options;
    const { Client, leaseOf } = trackedClient(options.hooks);
    const { max, min, idleTimeoutMillis, maxUses, maxLifetimeSeconds } = options.settings as z.infer<
      typeof settings
    >;
    const pool = new pg.Pool({
      ...clientConfig(options),
      Client,
      max,
      min,
      idleTimeoutMillis,
      maxLifetimeSeconds,
      ...(maxUses === undefined ? {} : { maxUses }),
    } as pg.PoolConfig);
    if (app.onPoolError === 'listen') pool.on('error', () => {});
    // At 'connect', since after `await pool.connect()` is too late: the FATAL may come in between.
    if (app.onClientError === 'listen') pool.on('connect', client => client.on('error', () => {}));
    return {
      acquire: () =>
        new Promise((resolve, reject) => {
          pool.connect((error, client, release) => {
            if (!client) reject(error);
            else resolve(new PgLease(client, leaseOf(client as pg.Client), release));
          });
        }),
      gauges: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount, max }),
      close: () => pool.end(),
    };
  },
};
