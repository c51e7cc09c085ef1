/** The registry of pool adapters: one line each. */
export { connectPerSubmit as 'connect-per-submit' } from './connect-per-submit.ts';
export { nullPool as 'null-pool' } from './null-pool.ts';
export { pgPool as 'pg-pool' } from './pg-pool.ts';
