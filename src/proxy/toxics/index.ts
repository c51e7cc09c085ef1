/** The registry of toxics: one line each, under the name the API knows it by. */
export { acceptThenClose as accept_then_close } from './accept-then-close.ts';
export { bandwidth } from './bandwidth.ts';
export { blackhole } from './blackhole.ts';
export { connectDelay as connect_delay } from './connect-delay.ts';
export { idleTimeout as idle_timeout } from './idle-timeout.ts';
export { latency } from './latency.ts';
export { lifetime } from './lifetime.ts';
export { limitData as limit_data } from './limit-data.ts';
export { noop } from './noop.ts';
export { nth } from './nth.ts';
export { refuse } from './refuse.ts';
export { reset } from './reset.ts';
export { resetPeer as reset_peer } from './reset-peer.ts';
export { slicer } from './slicer.ts';
export { slowClose as slow_close } from './slow-close.ts';
export { timeout } from './timeout.ts';
