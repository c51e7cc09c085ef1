import type { Check } from './check.ts';
import { hintText } from './hints.ts';
import { judgeNone, safety } from './none.ts';

export const duplicated: Check = {
  ...safety,
  id: 'duplicated',
  summary: 'no submit is stored twice',
  needsRows: true,
  judge: ({ writes, examples }, settings, { plan }) =>
    judgeNone(settings, {
      count: writes.duplicated,
      thing: ['submit stored twice or more', 'submits stored twice or more'],
      lines: examples.duplicated,
      hint: hintText(plan, 'duplicated'),
    }),
};
