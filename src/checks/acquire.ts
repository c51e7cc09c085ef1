import { z } from 'zod';
import { durationText } from '../metrics/format.ts';
import { type Check, numberIn } from './check.ts';
import { percentileOf, percentileSettings } from './percentiles.ts';
import { judgeLimit } from './phases.ts';

export const acquire: Check = {
  id: 'acquire',
  summary: 'submits wait for a connection no longer than a limit, over the trial or a phase',
  kind: 'liveness',
  settings: z.strictObject(percentileSettings),
  durations: ['max'],
  byDefault: false,
  needsRows: false,
  judge(metrics, settings, { plan: { speed } }) {
    const limit = numberIn(settings, 'maxMs');
    const of = ({ acquire }: Pick<typeof metrics, 'acquire'>) =>
      percentileOf(acquire, settings.of, 'the wait for a connection', speed);
    return judgeLimit(metrics, settings, { limit, limitText: durationText(limit, speed), of });
  },
};
