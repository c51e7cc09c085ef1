import { z } from 'zod';
import { type Check, numberIn } from './check.ts';
import { judgeLimit, phaseSetting } from './phases.ts';

export const connections: Check = {
  id: 'connections',
  summary: 'no more connections at once than a limit, as the workers or as the server count them',
  kind: 'liveness',
  settings: z.strictObject({
    of: z.enum(['client', 'server']).default('client'),
    max: z.number().int().min(0),
    ...phaseSetting,
  }),
  durations: [],
  byDefault: false,
  needsRows: false,
  judge(metrics, settings) {
    const limit = numberIn(settings, 'max');
    return judgeLimit(metrics, settings, {
      limit,
      limitText: String(limit),
      of: ({ connections: { clientMax, serverMax } }) =>
        settings.of === 'server'
          ? { value: serverMax, text: `${serverMax ?? 'no'} sessions at once at the server` }
          : { value: clientMax, text: `${clientMax} connections open at once` },
    });
  },
};
