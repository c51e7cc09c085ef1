/** The registry of pool adapters: one line each. */
export { connectPerSubmit as 'connect-per-submit' } from './connect-per-submit.ts';
export { mysql2ConnectPerSubmit as 'mysql2-connect-per-submit' } from './mysql2-connect-per-submit.ts';
export { mysql2Pool as 'mysql2-pool' } from './mysql2-pool.ts';
export { nullPool as 'null-pool' } from './null-pool.ts';
export { pgPool as 'pg-pool' } from './pg-pool.ts';
