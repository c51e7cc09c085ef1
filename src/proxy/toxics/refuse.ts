import type { Toxic } from './toxic.ts';

/** New connections are refused (ECONNREFUSED): the listener is shut while this is there. Open ones live on. */
export const refuse: Toxic<Record<never, never>> = {
  type: 'refuse',
  attributes: {},
  selectable: [],
  refuses: true,
};
