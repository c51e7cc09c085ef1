import { defineScenario, idleKill, latency, restartDatabase } from '../src/index.ts';
import shift from './fgscan-shift.ts';

export default defineScenario({
  name: 'fgscan-day',
  story:
    'A day on the scan page in eight hours: 20 operators whose page submits every 30 s, an early, a late and a night ' +
    'shift, each of which begins and ends in bursts, breaks, lunch and hours of night in which nobody scans, two ' +
    'database restarts, and a firewall that silently drops connections idle for 350 s. Made for --virtual; for real ' +
    'it takes 12 minutes a candidate.',
  speed: 40,
  duration: '8h',
  patience: '10s',
  rows: 2,
  rejected: 0.07,
  workers: 4,
  sessions: { count: 20, every: '30s', jitter: 0.2 },
  // Shifts of 160 minutes. Everybody scans as one begins and ends; at once, so that each pool opens what it may.
  bursts: [
    { at: '5m', over: '60s', submits: 3 },
    { at: '12m', over: '20s', submits: 2 },
    { at: '74m', over: '1s' },
    { at: '93m', over: '1s' },
    { at: '7190s', over: '10s' },
    { at: '155m', over: '60s', submits: 3 },
    { at: '165m', over: '60s', submits: 3 },
    { at: '179m', over: '1s' },
    { at: '218m', over: '1s' },
    { at: '17990s', over: '10s' },
    { at: '325m', over: '60s', submits: 3 },
    { at: '329m', over: '1s' },
    { at: '425m', over: '1s' },
    { at: '475m', over: '60s', submits: 3 },
  ],
  // Each longer than the firewall's limit.
  breaks: [
    { from: '75m', to: '90m', returnOver: '60s' },
    { from: '180m', to: '215m', returnOver: '60s' },
    { from: '255m', to: '265m', returnOver: '60s' },
    // The night shift: quiet from its first round to its last, but for one round in the middle.
    { from: '330m', to: '470m', returnOver: '3m' },
  ],
  server: { appSlots: 28 },
  faults: [
    { at: '20m', fault: idleKill({ after: '350s', how: 'drop' }) },
    { at: '7180s', until: '7201s', fault: latency({ each: '150ms' }) },
    { at: '2h', fault: restartDatabase({ how: 'fast', down: '60s' }) },
    { at: '17980s', until: '18001s', fault: latency({ each: '150ms' }) },
    { at: '5h', fault: restartDatabase({ how: 'immediate', down: '30s' }) },
  ],
  candidates: shift.candidates!,
  expect: {
    leaky: {
      verdict: 'fail',
      checks: { unsaved: 'fail', exhaustion: 'fail', recovers: 'unknown' },
      causes: ['leak', 'server-limit'],
      because:
        'refused scans fill the server within a quarter of an hour, and connections the firewall dropped are never ' +
        'given back; hardly anything is saved for the rest of the day',
    },
    'connect-per-submit': shift.expect!['connect-per-submit']!,
    'pg-pool-defaults': {
      verdict: 'fail',
      checks: { crash: 'fail' },
      because:
        "a checked-out client has no 'error' listener, so a restart ends its process; idle connections are closed " +
        'after 10 s, long before the firewall would drop them',
    },
    'pg-pool-persistent': {
      verdict: 'fail',
      checks: { unsaved: 'fail', poisoned: 'fail' },
      because:
        'connections kept through breaks and night were dropped by the firewall; each borrow of one hangs past ' +
        'patience, for a quarter of an hour until the kernel gives up',
    },
    'pg-pool-tuned': shift.expect!['pg-pool-tuned']!,
  },
});
