import type { Check } from './check.ts';
import { hintText } from './hints.ts';
import { judgeNone, safety } from './none.ts';

export const crash: Check = {
  ...safety,
  id: 'crash',
  summary: 'no app worker dies',
  needsRows: false,
  judge({ crashes, crashList, crashLoops, examples }, settings, { plan }) {
    const lostWith = crashList.reduce((sum, { submits }) => sum + submits, 0);
    const loops = crashLoops > 0 ? `, ${crashLoops} times in a loop` : '';
    return judgeNone(settings, {
      count: crashes,
      thing: ['crash of an app worker', 'crashes of app workers'],
      lines: examples.crash,
      hint: `${loops}; ${lostWith} submits were in flight${hintText(plan, 'crash')}`,
    });
  },
};
