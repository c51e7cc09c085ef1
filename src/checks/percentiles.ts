import { z } from 'zod';
import { durationText } from '../metrics/format.ts';
import type { Distribution } from '../metrics/types.ts';
import { type Check, durationSetting, numberIn } from './check.ts';
import { judgeLimit, type Measured, type Part, phaseSetting } from './phases.ts';

const measures = { p50: 'p50Ms', p95: 'p95Ms', p99: 'p99Ms', max: 'maxMs' } as const;
type Measure = keyof typeof measures;

interface Percentile extends Pick<Check, 'id' | 'summary'> {
  /** What is measured, in the words of a finding. */
  what: string;
  of(part: Part): Distribution;
}

/** A check that holds a percentile against a duration. */
export const percentileCheck = ({ id, summary, what, of }: Percentile): Check => ({
  id,
  summary,
  kind: 'liveness',
  settings: z.strictObject({
    of: z.enum(['p50', 'p95', 'p99', 'max']).default('p99'),
    max: durationSetting(),
    ...phaseSetting,
  }),
  durations: ['max'],
  byDefault: false,
  needsRows: false,
  judge(metrics, settings, { plan: { speed } }) {
    const limit = numberIn(settings, 'maxMs');
    const measured = (part: Part) => percentileOf(of(part), settings.of as Measure, what, speed);
    return judgeLimit(metrics, settings, { limit, limitText: durationText(limit, speed), of: measured });
  },
});

/** A percentile that stands on too few samples is no number to judge by. */
function percentileOf(distribution: Distribution, of: Measure, name: string, speed: number): Measured {
  const { n, censored, censoredAtMs } = distribution;
  const value = distribution[measures[of]];
  if (value === null) return { value, text: `${n} samples are too few for ${of} of ${name}` };
  // Censored: it is longer than that, nobody knows how much.
  const beyond = censored > 0 && censoredAtMs !== null && value >= censoredAtMs ? 'over ' : '';
  return { value, text: `${of} of ${name} was ${beyond}${durationText(value, speed)}` };
}
