import { z } from 'zod';
import { type Check, numberIn } from './check.ts';
import { judgeLimit, phaseSetting } from './phases.ts';

const bytesInMb = 1024 * 1024;

export const memory: Check = {
  id: 'memory',
  summary: 'no app worker grows beyond a limit of resident memory',
  kind: 'liveness',
  settings: z.strictObject({ maxMb: z.number().positive(), ...phaseSetting }),
  durations: [],
  byDefault: false,
  needsRows: false,
  judge(metrics, settings) {
    const limit = numberIn(settings, 'maxMb');
    return judgeLimit(metrics, settings, {
      limit,
      limitText: `${limit} MB`,
      of: ({ memory: { rssMaxBytes } }) => {
        const mb = rssMaxBytes === null ? null : Math.round((rssMaxBytes / bytesInMb) * 10) / 10;
        return {
          value: mb,
          text: mb === null ? 'no worker told of its memory' : `the largest app worker had ${mb} MB`,
        };
      },
    });
  },
};
