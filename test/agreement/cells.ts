import { idleKill, latency, restartDatabase } from '../../src/index.ts';
import type { CandidateInput, ScenarioInput } from '../../src/scenario.ts';

/**
 * Small stories that run for real on PostgreSQL and in virtual time at the same speed. What timers decide must
 * come out equal to the count; where races of milliseconds decide, verdicts must, and the counts of both sides are
 * printed. Which error codes a race shows hangs on chance on both sides (ECONNRESET of whoever comes first after the
 * server has gone, 57P03 within 10 ms of a start): every code of the real one must come in some virtual seed, and
 * what comes in all of these must come in the real one.
 */
export interface Story {
  scenario: ScenarioInput;
  /** Candidates whose counts hang on who comes first by a few ms, and why. */
  races: Record<string, string>;
}

const listening = { onPoolError: 'listen', onClientError: 'listen' } as const;
const speed = 40;

const pool = (settings: Record<string, unknown> = {}, app: CandidateInput['app'] = {}): CandidateInput => ({
  pool: 'pg-pool',
  settings,
  app: { ...listening, ...app },
});

/** Busy, quiet for longer than the firewall's limit, busy again. */
const quiet = (over: Partial<ScenarioInput>): ScenarioInput => ({
  name: 'quiet',
  speed,
  duration: '150s',
  patience: '10s',
  workers: 2,
  rejected: 0.05,
  sessions: { count: 8, every: '8s' },
  bursts: [
    { at: '10s', over: '2s' },
    { at: '100s', over: '2s' },
  ],
  breaks: [{ from: '40s', to: '90s', returnOver: '8s' }],
  server: { appSlots: 28 },
  ...over,
});

const firewall = (how: 'drop' | 'fin' | 'rst') => ({ at: '30s', fault: idleKill({ after: '20s', how }) });

const restart = (how: 'fast' | 'immediate'): ScenarioInput['faults'] => [
  { at: '60s', until: '71s', fault: latency({ each: '150ms' }) },
  // Stopping and starting take 0.1 s, at this speed 4 s of the story: an outage must be far longer.
  { at: '70s', fault: restartDatabase({ how, down: '80s' }) },
];

const busy = (over: Partial<ScenarioInput>): ScenarioInput => ({
  name: 'busy',
  speed,
  duration: '220s',
  patience: '10s',
  workers: 2,
  rejected: 0.05,
  sessions: { count: 10, every: '5s' },
  bursts: [{ at: '10s', over: '2s' }],
  server: { appSlots: 28 },
  ...over,
});

const inFlight = 'which submits are in flight when the server goes, and how far they are';

/** Compared first. */
export const stories: Story[] = [
  {
    scenario: quiet({
      name: 'quiet-drop',
      faults: [firewall('drop')],
      candidates: {
        // One connection a worker: how many a burst opens would be a race.
        'closes-idle': pool({ max: 1, idleTimeoutMillis: 10_000 }),
        'never-closes': pool({ max: 1, idleTimeoutMillis: 0 }),
        'never-closes-query-timeout': pool(
          { max: 1, idleTimeoutMillis: 0, query_timeout: 5000 },
          { release: 'with-error' },
        ),
        recycles: pool({ max: 1, idleTimeoutMillis: 0, maxLifetimeSeconds: 15 }),
        'per-submit': { pool: 'connect-per-submit', app: listening },
      },
    }),
    races: {},
  },
  {
    scenario: busy({
      name: 'restart-fast',
      faults: restart('fast'),
      candidates: {
        'no-listener': pool({}, { onClientError: 'none' }),
        listens: pool(),
        retries: pool(
          { connectionTimeoutMillis: 5000, query_timeout: 5000 },
          {
            release: 'with-error',
            retry: { max: 1, backoff: '1s', on: 'any', idempotency: 'key-table' },
          },
        ),
        'per-submit': { pool: 'connect-per-submit', app: listening },
      },
    }),
    races: { 'no-listener': inFlight, listens: inFlight, retries: inFlight, 'per-submit': inFlight },
  },
  {
    scenario: busy({
      name: 'exhausted',
      duration: '60s',
      rejected: 0.2,
      server: { appSlots: 6 },
      candidates: {
        leaks: { pool: 'connect-per-submit', app: { ...listening, release: 'on-success' } },
        'too-many': pool({ max: 10, idleTimeoutMillis: 0 }),
      },
    }),
    races: {
      leaks: 'whether a submit that comes with another still finds a slot',
      'too-many': 'how many connections two workers open in the same ms',
    },
  },
  {
    scenario: busy({
      name: 'slow',
      duration: '60s',
      sessions: { count: 10, every: '2s' },
      faults: [{ at: '20s', until: '50s', fault: latency({ each: '1s' }) }],
      candidates: {
        'waits-for-ever': pool({ max: 1 }),
        'gives-up': pool({ max: 1, connectionTimeoutMillis: 4000 }),
      },
    }),
    races: {
      'waits-for-ever': 'how many submits of 320 ms each fit into the time of the fault',
      'gives-up': 'which submits wait just longer or shorter than the acquire timeout',
    },
  },
  // Added when all of the above had been compared.
  {
    scenario: quiet({
      name: 'quiet-rst',
      faults: [firewall('rst')],
      candidates: {
        'never-closes': pool({ max: 1, idleTimeoutMillis: 0 }),
        'no-pool-listener': pool({ max: 1, idleTimeoutMillis: 0 }, { onPoolError: 'none' }),
      },
    }),
    races: {},
  },
  {
    scenario: quiet({
      name: 'quiet-fin',
      faults: [firewall('fin')],
      candidates: { 'never-closes': pool({ max: 1, idleTimeoutMillis: 0 }) },
    }),
    races: {},
  },
  {
    // The server's own limit, which no speed scales.
    scenario: quiet({
      name: 'server-idle-timeout',
      server: { appSlots: 28, settings: { idle_session_timeout: '500ms' } },
      candidates: {
        'never-closes': pool({ max: 1, idleTimeoutMillis: 0 }),
        'closes-idle': pool({ max: 1, idleTimeoutMillis: 10_000 }),
      },
    }),
    races: {},
  },
  {
    scenario: busy({
      name: 'restart-immediate',
      faults: restart('immediate'),
      candidates: { listens: pool(), 'no-listener': pool({}, { onClientError: 'none' }) },
    }),
    races: { listens: inFlight, 'no-listener': inFlight },
  },
];
