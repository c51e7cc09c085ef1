import { z } from 'zod';
import { durationText } from '../metrics/format.ts';
import type { Distribution } from '../metrics/types.ts';
import { durationSetting } from './check.ts';
import { type Measured, phaseSetting } from './phases.ts';

const measures = { p50: 'p50Ms', p95: 'p95Ms', p99: 'p99Ms', max: 'maxMs' } as const;
type Measure = keyof typeof measures;

/** Settings of a check that holds a percentile against a duration. */
export const percentileSettings = {
  of: z.enum(['p50', 'p95', 'p99', 'max']).default('p99'),
  max: durationSetting(),
  ...phaseSetting,
};

/** A percentile that stands on too few samples is no number to judge by. */
export function percentileOf(distribution: Distribution, of: unknown, name: string, speed: number): Measured {
  const { n, censored, censoredAtMs } = distribution;
  const value = distribution[measures[of as Measure]];
  if (value === null) return { value, text: `${n} samples are too few for ${String(of)} of ${name}` };
  // Censored: it is longer than that, nobody knows how much.
  const beyond = censored > 0 && censoredAtMs !== null && value >= censoredAtMs ? 'over ' : '';
  return { value, text: `${String(of)} of ${name} was ${beyond}${durationText(value, speed)}` };
}
