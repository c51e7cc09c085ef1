import { shareText } from '../metrics/format.ts';
import type { TrialMetrics } from '../metrics/types.ts';
import type { Check } from './check.ts';
import { judgeNone, safety } from './none.ts';

export const lost: Check = {
  ...safety,
  id: 'lost',
  summary: 'no submit that its user was told is saved is missing',
  needsRows: true,
  judge(metrics, settings, { plan }) {
    const { writes, examples } = metrics;
    const mayLose = plan.durability === 'may-lose';
    // A scenario that may lose by design blames the candidate only for what the server kept.
    const count = mayLose ? writes.lostBecause.candidate : writes.lost;
    const apart =
      mayLose && writes.lostBecause.server > 0 ? `; ${writes.lostBecause.server} more by the server` : '';
    return judgeNone(settings, {
      count,
      thing: [`lost of ${writes.acked} acked`, `lost of ${writes.acked} acked`],
      lines: examples.lost,
      beside: `${apart}; ${exposure(metrics)}`,
      hint: `: users were told "saved", the table does not have it${apart}`,
    });
  },
};

/** Zero of few says little: at most this may be lost that was not seen. */
function exposure({ writes: { exposed, bound } }: TrialMetrics): string {
  if (bound.perWrite === null) return `${exposed} exposed to a fault: too few exposed to say more`;
  return `${exposed} exposed to a fault: at most ${shareText(bound.perWrite)} of such writes`;
}
