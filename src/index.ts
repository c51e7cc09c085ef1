/** The public API: what scenario files, configs and pool adapters of users import. */
export { z } from 'zod';
export { type Config, defineConfig } from './config.ts';
export * from './faults/index.ts';
export type { Lease, OpenPool, Pool, PoolAdapter } from './pools/pool.ts';
export { type RunRequest, run } from './run.ts';
export { defineScenario, type ScenarioInput } from './scenario.ts';
