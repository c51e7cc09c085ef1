import { msMax, type Toxic } from './toxic.ts';

type ConnectDelayAttributes = { delay: number };

/**
 * The upstream of a new connection is dialed `delay` ms after its client came. The client's own connect() succeeds at
 * once (its kernel and ours see to that); its first answer waits.
 */
export const connectDelay: Toxic<ConnectDelayAttributes> = {
  type: 'connect_delay',
  attributes: { delay: { kind: 'integer', default: 0, min: 0, max: msMax, unit: 'ms' } },
  selectable: ['clientPort'],
  dialDelayMs: ({ delay }) => delay,
};
