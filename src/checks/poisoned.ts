import { type Check, unlessMachine } from './check.ts';
import { hintText } from './hints.ts';
import { judgeNone, noneAllowed } from './none.ts';

const what = 'outside outages of a connection that was dead, or hung past patience';

export const poisoned: Check = {
  id: 'poisoned',
  summary: 'outside outages the pool hands out no dead connection',
  kind: 'liveness',
  settings: noneAllowed,
  durations: [],
  byDefault: true,
  needsRows: false,
  judge(metrics, settings, { plan }) {
    const { poisonedOutsideOutages, poisonedSpoilt } = metrics.connections;
    const of = (count: number) =>
      judgeNone(settings, {
        count,
        thing: [`borrow ${what}`, `borrows ${what}`],
        lines: metrics.examples['poisoned-outside-outages'],
        hint: hintText(plan, 'poisoned'),
      });
    return unlessMachine(metrics, of(poisonedOutsideOutages), of(poisonedOutsideOutages - poisonedSpoilt));
  },
};
