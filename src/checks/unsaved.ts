import { z } from 'zod';
import { linesText, shareText } from '../metrics/format.ts';
import { type Check, type Finding, numberIn, unlessMachine } from './check.ts';
import { hintText, troublesIn } from './hints.ts';

export const unsaved: Check = {
  id: 'unsaved',
  summary: 'submits are saved, but for those that an outage excuses',
  kind: 'liveness',
  settings: z.strictObject({
    /** At most so many, or so large a share of all scheduled, whichever is more. */
    max: z.number().int().min(0).default(1),
    share: z.number().min(0).max(1).default(0.001),
  }),
  durations: [],
  byDefault: true,
  needsRows: true,
  judge(metrics, settings, { plan }) {
    const { writes, examples } = metrics;
    const limit = Math.max(numberIn(settings, 'max'), numberIn(settings, 'share') * writes.scheduled);
    const seen = writes.unsaved - writes.excused.unsaved;
    const of = (count: number): Finding => {
      const share = shareText(writes.scheduled > 0 ? count / writes.scheduled : 0);
      const said = `${count} of ${writes.scheduled} submits unsaved (${share}) with no outage to excuse them, at most ${Math.floor(limit)} allowed`;
      const apart = `; excused by an outage: ${writes.excused.unsaved} unsaved, ${writes.excused.saved} saved`;
      if (count <= limit) return { verdict: 'pass', because: `${said}${apart}`, limit, seen: count };
      const lines = linesText(examples['unsaved-unexcused']);
      const hint = hintText(plan, ...troublesIn(metrics));
      return { verdict: 'fail', because: `${said}${lines}${apart}${hint}`, limit, seen: count };
    };
    return unlessMachine(metrics, of(seen), of(seen - writes.unsavedSpoilt));
  },
};
