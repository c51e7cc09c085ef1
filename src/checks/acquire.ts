import { percentileCheck } from './percentiles.ts';

export const acquire = percentileCheck({
  id: 'acquire',
  summary: 'submits wait for a connection no longer than a limit, over the trial or a phase',
  what: 'the wait for a connection',
  of: ({ acquire }) => acquire,
});
