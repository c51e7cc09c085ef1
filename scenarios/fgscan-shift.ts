import { defineScenario, idleKill, latency, restartDatabase } from '../src/index.ts';

export default defineScenario({
  name: 'fgscan-shift',
  story:
    'A shift on the scan page: 40 operators whose page submits every 30 s, bursts, two breaks, ' +
    'a database restart in the middle and a firewall that silently drops idle connections afterwards.',
  // The lowest at which five candidates end within 170 s: a lower speed leaves a slower machine room.
  speed: 40,
  duration: '1200s',
  patience: '10s',
  rows: 2,
  // The user's own mistakes, refused by a CHECK. They are what a leak feeds on.
  rejected: 0.07,
  workers: 4,
  sessions: { count: 40, every: '30s', jitter: 0.2 },
  bursts: [
    { at: '120s', over: '20s' },
    { at: '300s', over: '20s' },
    { at: '475s', over: '10s' },
    { at: '665s', over: '20s' },
    { at: '900s', over: '20s' },
    { at: '1150s', over: '20s' },
  ],
  // Longer than the firewall's limit, and everybody comes back within half a minute.
  breaks: [
    { from: '690s', to: '840s', returnOver: '30s' },
    { from: '960s', to: '1110s', returnOver: '30s' },
  ],
  server: { appSlots: 28 },
  faults: [
    // Slow, then restarted: requests are in flight when the server goes.
    { at: '460s', until: '481s', fault: latency({ each: '150ms' }) },
    { at: '480s', fault: restartDatabase({ how: 'fast', down: '60s' }) },
    { at: '660s', fault: idleKill({ after: '120s', how: 'drop' }) },
  ],
  candidates: {
    leaky: {
      pool: 'connect-per-submit',
      app: { release: 'on-success', onClientError: 'listen' },
    },
    'connect-per-submit': {
      pool: 'connect-per-submit',
      app: { release: 'always', onClientError: 'listen' },
    },
    'pg-pool-defaults': {
      pool: 'pg-pool',
      app: { release: 'always', onPoolError: 'listen' },
    },
    'pg-pool-persistent': {
      pool: 'pg-pool',
      settings: { idleTimeoutMillis: 0 },
      app: { release: 'always', onPoolError: 'listen', onClientError: 'listen' },
    },
    'pg-pool-tuned': {
      pool: 'pg-pool',
      settings: {
        max: 5,
        connectionTimeoutMillis: 5000,
        query_timeout: 5000,
        keepAlive: true,
        keepAliveInitialDelayMillis: 10_000,
        idleTimeoutMillis: 60_000,
        maxLifetimeSeconds: 300,
      },
      app: {
        release: 'with-error',
        onPoolError: 'listen',
        onClientError: 'listen',
        statementTimeout: '5s',
        retry: { max: 1, backoff: '500ms', on: 'any', idempotency: 'key-table' },
      },
    },
  },
  expect: {
    leaky: {
      verdict: 'fail',
      checks: { unsaved: 'fail', exhaustion: 'fail', recovers: 'unknown' },
      causes: ['leak', 'server-limit'],
      because:
        'every refused scan leaves its connection open: 28 of them fill the server before the restart, ' +
        'and again soon after it; its baseline is too bad to say whether it recovers',
    },
    'connect-per-submit': {
      verdict: 'pass',
      because: 'every connection is closed again; the price is a connect and a login for every submit',
    },
    'pg-pool-defaults': {
      verdict: 'fail',
      checks: { crash: 'fail' },
      because:
        "a checked-out client has no 'error' listener, so the restart ends its process; the firewall never " +
        'sees an idle connection of it, since the pool closes them after 10 s',
    },
    'pg-pool-persistent': {
      verdict: 'fail',
      checks: { unsaved: 'fail', poisoned: 'fail' },
      because:
        'connections kept through the breaks were dropped by the firewall; each borrow of one hangs past ' +
        'patience and its slot is lost for the rest of the shift',
    },
    'pg-pool-tuned': {
      verdict: 'pass',
      because:
        'idle connections are closed before the firewall drops them, every wait is bounded, a retry is safe',
    },
  },
});
