import { describe, expect, it } from 'vitest';
import { registries } from '../src/registries.ts';
import { validateScenario } from '../src/scenario.ts';
import { story } from './fixtures/story.ts';

const restart = (down: string) => ({ fault: 'restart-database', settings: { down } });

const problems = (raw: unknown) =>
  validateScenario(raw, registries).problems.map(({ path, message }) => `${path}: ${message}`);

describe('a scenario', () => {
  it('is taken with its defaults filled in', () => {
    const { scenario } = validateScenario(story(), registries);
    expect(scenario).toMatchObject({ rows: 2, rejected: 0, speed: 1, faults: [], durability: 'none-lost' });
    expect(scenario?.candidates.good?.app).toMatchObject({ transaction: 'explicit', release: 'always' });
  });

  it('tells all mistakes at once, each with its path', () => {
    const raw = story({
      duration: '-5s',
      workers: 0,
      candidates: { good: { pool: 'pg-pool', settings: { maxx: 3 } }, other: { pool: 'pgpool' } },
    });
    const seen = problems({ ...raw, colour: 'blue' });
    expect(seen).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^duration: is "-5s"; must be a number and its unit \(ms, s, m or h\)/),
        expect.stringMatching(/^workers: is 0/),
        expect.stringMatching(/^: unknown: colour; allowed: name, story, speed, duration/),
        expect.stringMatching(/^candidates\.good\.settings: unknown: maxx; allowed: .*idleTimeoutMillis/),
        expect.stringMatching(/^candidates\.other\.pool: no pool "pgpool"; there are connect-per-submit/),
      ]),
    );
  });

  it.each([
    [
      'an unknown fault',
      { faults: [{ at: '1s', fault: { fault: 'flood', settings: {} } }] },
      /^faults\[0\]\.fault: no fault "flood"; there are idle-kill/,
    ],
    [
      'a wrong fault setting',
      {
        faults: [{ at: '1s', fault: { fault: 'restart-database', settings: { down: '1s', how: 'slowly' } } }],
      },
      /^faults\[0\]\.fault\.settings\.how: is "slowly"; allowed: "fast", "immediate"/,
    ],
    [
      'a fault after the end',
      { faults: [{ at: '3s', fault: { fault: 'restart-database', settings: { down: '1s' } } }] },
      /^faults\[0\]\.at: 3s must come before the end of the scenario \(2s\)/,
    ],
    [
      'a fault that ends before it begins',
      { faults: [{ at: '1s', until: '500ms', fault: { fault: 'latency', settings: { each: '1ms' } } }] },
      /^faults\[0\]\.until: 1s must come before its until \(500ms\)/,
    ],
    [
      'outages that overlap',
      {
        faults: [
          { at: '1s', fault: restart('500ms') },
          { at: '1200ms', fault: restart('500ms') },
        ],
      },
      /^faults\[1\]\.at: begins before the restart-database above it has ended/,
    ],
    [
      'an outage beyond the end',
      { faults: [{ at: '1800ms', fault: restart('500ms') }] },
      /^faults\[0\]\.at: restart-database would outlast the scenario/,
    ],
    [
      'two ways to end an outage',
      { faults: [{ at: '1s', until: '1500ms', fault: restart('500ms') }] },
      /^faults\[0\]\.until: restart-database says itself how long it lasts/,
    ],
    [
      'an engine that the pool is not for',
      { candidates: { a: { pool: 'pg-pool', engine: 'mysql' } } },
      /^candidates\.a\.engine: no engine for pool pg-pool "mysql"; there is postgres/,
    ],
    ['an unknown check', { checks: [{ check: 'loss' }] }, /^checks\[0\]\.check: no check "loss"; there are/],
    [
      'an expectation of nobody',
      { expect: { nobody: { verdict: 'pass', because: 'x' } } },
      /^expect\.nobody: no candidate "nobody"; there is good/,
    ],
    ['a duration without unit', { patience: '10' }, /^patience: is "10"; must be/],
    ['a duration beyond limits', { duration: '400h' }, /^duration: is "400h"; must be .* at most "168h"/],
    [
      'sessions that never rest',
      { sessions: { count: 1, every: '0s' } },
      /^sessions\.every: must be longer than 0/,
    ],
    [
      'a break that ends before it begins',
      { breaks: [{ from: '2s', to: '1s' }] },
      /^breaks\[0\]\.from: 2s must come before its to \(1s\)/,
    ],
    ['benchmark arrivals', { arrivals: { inFlight: 3, count: 3 } }, /^: unknown: arrivals/],
    [
      'a habit that is none',
      { candidates: { a: { pool: 'pg-pool', app: { release: 'never' } } } },
      /^candidates\.a\.app\.release: is "never"; allowed: "always", "on-success", "with-error"/,
    ],
    [
      'a key-table without a transaction',
      {
        candidates: {
          a: {
            pool: 'pg-pool',
            app: { transaction: 'autocommit', retry: { max: 1, idempotency: 'key-table' } },
          },
        },
      },
      /^candidates\.a\.app\.retry\.idempotency: key-table needs transaction: "explicit"/,
    ],
  ])('refuses %s', (_what, over, message) => {
    const seen = problems({ ...story(), ...(over as object) });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(message);
  });

  it.each([null, 3, 'text', []])('refuses %j, which is none at all', raw => {
    expect(problems(raw).length).toBeGreaterThan(0);
  });
});
