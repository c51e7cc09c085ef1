/** The registry of faults: one line each. */
export { idleKill } from './idle-kill.ts';
export { latency } from './latency.ts';
export { packetDrop } from './packet-drop.ts';
export { restartDatabase } from './restart-database.ts';
