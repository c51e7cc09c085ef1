import { z } from 'zod';
import { durationText } from '../metrics/format.ts';
import { type Check, numberIn } from './check.ts';
import { percentileOf, percentileSettings } from './percentiles.ts';
import { judgeLimit } from './phases.ts';

export const latency: Check = {
  id: 'latency',
  summary: 'users wait no longer than a limit (p50, p95, p99 or max), over the trial or a phase',
  kind: 'liveness',
  settings: z.strictObject(percentileSettings),
  durations: ['max'],
  byDefault: false,
  needsRows: false,
  judge(metrics, settings, { plan: { speed } }) {
    const limit = numberIn(settings, 'maxMs');
    const of = ({ latency }: Pick<typeof metrics, 'latency'>) =>
      percentileOf(latency, settings.of, 'user latency', speed);
    return judgeLimit(metrics, settings, { limit, limitText: durationText(limit, speed), of });
  },
};
