/** The public API: what scenario files, configs and pool adapters of users import. */
export { z } from 'zod';
export { realClock } from './clock.ts';
export { type Config, defineConfig } from './config.ts';
export * from './faults/index.ts';
export { loadScenario } from './load.ts';
export type { Lease, OpenPool, Pool, PoolAdapter } from './pools/pool.ts';
export { registries } from './registries.ts';
export * as reporters from './reporters/index.ts';
export { type RunEdges, type RunRequest, run } from './run.ts';
export { defineScenario, type ScenarioInput } from './scenario.ts';
