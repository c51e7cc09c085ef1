import type { KillHow, Toxic } from './toxic.ts';

type AcceptThenCloseAttributes = { how: KillHow };

/** New connections are accepted and ended at once, fin or rst; their upstream is never dialed. */
export const acceptThenClose: Toxic<AcceptThenCloseAttributes> = {
  type: 'accept_then_close',
  attributes: { how: { kind: 'choice', default: 'fin', of: ['fin', 'rst'] } },
  selectable: ['clientPort'],
  turnAway: ({ how }) => ({ how }),
};
