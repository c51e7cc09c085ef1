import { z } from 'zod';
import type { PoolAdapter } from './pool.ts';

/** Obeys the contract and does nothing: every submit fails at acquire. The harness tests itself with it. */
export const nullPool: PoolAdapter = {
  name: 'null-pool',
  summary: 'hands out nothing: every submit fails at acquire (for testing the harness)',
  engines: ['postgres', 'mariadb', 'mysql'],
  settings: z.strictObject({}),
  knobs: {},
  max: () => 0,
  acquireTimeoutMs: () => null,
  versions: () => ({}),
  open: () => ({
    acquire: () =>
      Promise.reject(Object.assign(new Error('the null pool has no connections'), { code: 'NULL_POOL' })),
    gauges: () => ({ total: 0, idle: 0, waiting: 0, max: 0 }),
    close: () => Promise.resolve(),
  }),
};
