import { defineScenario, idleKill, latency, restartDatabase } from '../src/index.ts';
import shift from './fgscan-shift.ts';

export default defineScenario({
  name: 'fgscan-day',
  story:
    'A day on the scan page, eight hours: 20 operators whose page submits every 30 s, three shifts that begin and ' +
    'end in a burst, breaks, lunch and a quiet night, two database restarts, and a firewall that silently drops ' +
    'connections idle for 350 s. Made for --virtual; for real it takes 12 minutes a candidate.',
  speed: 40,
  duration: '8h',
  patience: '10s',
  rows: 2,
  rejected: 0.07,
  workers: 4,
  sessions: { count: 20, every: '30s', jitter: 0.2 },
  bursts: [
    { at: '5m', over: '60s', submits: 3 },
    { at: '12m', over: '20s', submits: 2 },
    { at: '119m50s', over: '10s' },
    { at: '155m', over: '60s', submits: 3 },
    { at: '165m', over: '60s', submits: 3 },
    { at: '299m50s', over: '10s' },
    { at: '325m', over: '60s', submits: 3 },
    { at: '425m', over: '60s', submits: 3 },
    { at: '475m', over: '60s', submits: 3 },
  ],
  // Each longer than the firewall's limit.
  breaks: [
    { from: '75m', to: '90m', returnOver: '60s' },
    { from: '180m', to: '215m', returnOver: '60s' },
    { from: '255m', to: '265m', returnOver: '60s' },
    // The night.
    { from: '330m', to: '420m', returnOver: '3m' },
  ],
  server: { appSlots: 28 },
  faults: [
    { at: '20m', fault: idleKill({ after: '350s', how: 'drop' }) },
    { at: '119m40s', until: '120m1s', fault: latency({ each: '150ms' }) },
    { at: '2h', fault: restartDatabase({ how: 'fast', down: '60s' }) },
    { at: '299m40s', until: '300m1s', fault: latency({ each: '150ms' }) },
    { at: '5h', fault: restartDatabase({ how: 'immediate', down: '30s' }) },
  ],
  candidates: shift.candidates,
});
