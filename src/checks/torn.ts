import type { Check } from './check.ts';
import { hintText } from './hints.ts';
import { judgeNone, safety } from './none.ts';

export const torn: Check = {
  ...safety,
  id: 'torn',
  summary: 'no submit is stored in part, or in two transactions where it is meant to be one',
  needsRows: true,
  judge: ({ writes, examples }, settings, { plan }) =>
    judgeNone(settings, {
      count: writes.torn,
      thing: ['submit stored in part', 'submits stored in part'],
      lines: examples.torn,
      hint: `${writes.split > 0 ? `; ${writes.split} of them whole, but in several transactions` : ''}${hintText(plan, 'torn')}`,
    }),
};
