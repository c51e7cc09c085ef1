import type { Toxic } from './toxic.ts';

/** Obeys the contract and does nothing. */
export const noop: Toxic<Record<never, never>> = { type: 'noop', attributes: {} };
