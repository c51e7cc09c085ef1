import { percentileCheck } from './percentiles.ts';

export const latency = percentileCheck({
  id: 'latency',
  summary: 'users wait no longer than a limit (p50, p95, p99 or max), over the trial or a phase',
  what: 'user latency',
  of: ({ latency }) => latency,
});
