import type { Check } from './check.ts';
import { judgeNone, safety } from './none.ts';

export const workerProtocol: Check = {
  ...safety,
  id: 'worker-protocol',
  summary: 'app workers keep to the protocol',
  needsRows: false,
  judge({ protocolViolations: { count, details }, examples }, settings) {
    const first = details[0] === undefined ? '' : `; the first: ${details[0]}`;
    return judgeNone(settings, {
      count,
      thing: ['protocol violation', 'protocol violations'],
      lines: examples['worker-protocol'],
      hint: first,
    });
  },
};
