/** The registry of toxics: one line each, under the name the API knows it by. */
export { idleTimeout as idle_timeout } from './idle-timeout.ts';
export { latency } from './latency.ts';
export { noop } from './noop.ts';
