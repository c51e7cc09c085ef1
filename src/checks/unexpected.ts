import type { Check } from './check.ts';
import { judgeNone, safety } from './none.ts';

export const unexpected: Check = {
  ...safety,
  id: 'unexpected',
  summary: 'no row is stored that no submit wrote',
  needsRows: true,
  judge: ({ writes, examples }, settings) =>
    judgeNone(settings, {
      count: writes.unexpected,
      thing: [
        'row of no planned submit, or with a wrong hash',
        'rows of no planned submit, or with a wrong hash',
      ],
      lines: examples.unexpected,
    }),
};
