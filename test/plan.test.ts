import { describe, expect, it } from 'vitest';
import { type PlanRequest, planTrial, planWarnings } from '../src/plan.ts';
import { registries } from '../src/registries.ts';
import { type ScenarioInput, validateScenario } from '../src/scenario.ts';
import { lackOf as lackOf_ } from '../src/world/lacks.ts';
import { ways } from '../src/world/ways.ts';
import type { Need } from '../src/world/world.ts';
import { story } from './fixtures/story.ts';

const planned = (over: Partial<ScenarioInput> = {}, request: Partial<PlanRequest> = {}) => {
  const { scenario, problems } = validateScenario(story(over), registries);
  expect(problems).toEqual([]);
  const base = {
    candidate: 'good',
    seed: 1,
    speed: 1,
    host: 'embedded',
    engine: 'postgres',
    path: null,
    nonce: 'n',
  } as const;
  return planTrial({ ...base, scenario: scenario!, ...request }, registries);
};

const tuned = {
  good: {
    pool: 'pg-pool',
    settings: {
      idleTimeoutMillis: 60_000,
      maxLifetimeSeconds: 300,
      keepAliveInitialDelayMillis: 10_000,
      query_timeout: 5000,
    },
  },
} as const;

describe('a plan', () => {
  it('scales what the scenario and the settings name, and nothing else', () => {
    const { plan } = planned(
      {
        candidates: tuned,
        faults: [{ at: '1s', fault: { fault: 'restart-database', settings: { down: '200ms' } } }],
      },
      { speed: 20 },
    );
    expect(plan).toMatchObject({ durationMs: 100, patienceMs: 100, secondMs: 50, respawnMs: 50 });
    expect(plan.candidateSpec.settings).toMatchObject({
      idleTimeoutMillis: 3000,
      maxLifetimeSeconds: 15,
      query_timeout: 250,
      // The kernel's, in whole seconds.
      keepAliveInitialDelayMillis: 10_000,
      max: 10,
      connectionTimeoutMillis: 0,
    });
    expect(plan.faults).toMatchObject([
      { id: 'restart-database-1', atMs: 50, untilMs: 60, settings: { down: 10, how: 'fast' } },
    ]);
    expect(plan.candidateSpec.written).toMatchObject({ settings: tuned.good.settings });
  });

  it("scales the pool's own defaults too", () => {
    expect(planned({}, { speed: 10 }).plan.candidateSpec.settings.idleTimeoutMillis).toBe(1000);
  });

  it('is the same for the same request, and its trial another for another nonce', () => {
    expect(planned()).toEqual(planned());
    expect(planned({}, { nonce: 'm' }).plan.trial).not.toBe(planned().plan.trial);
    expect(planned().plan.trial).toMatch(/^[0-9a-f]{12}$/);
  });

  it('refuses a speed that takes a knob below its floor, and names the largest that works', () => {
    const { problems } = planned({ candidates: tuned }, { speed: 400 });
    expect(problems).toEqual([
      {
        path: 'candidates.good.settings.query_timeout',
        message:
          '5000 is 12.5 ms real at speed 400, under its floor of 20 ms; the largest speed that works is 250',
      },
    ]);
  });

  it('refuses a speed that takes a habit below what a timer can do', () => {
    const candidates = { good: { pool: 'pg-pool', app: { statementTimeout: '1s' } } };
    const { problems } = planned({ candidates }, { speed: 100 });
    expect(problems).toEqual([
      {
        path: 'candidates.good.app.statementTimeout',
        message:
          '1s is 10 ms real at speed 100, under its floor of 20 ms; the largest speed that works is 50',
      },
    ]);
  });

  it.each([
    ['mariadb', 'key-table', ['good.app.retry.lockTimeout']],
    ['mysql', 'key-table', ['good.app.retry.lockTimeout']],
    ['mariadb', 'none', []],
  ] as const)(
    '%s counts lock timeouts in whole seconds, where there is one (%s)',
    (engine, idempotency, paths) => {
      const app = { retry: { max: 1, idempotency } };
      const candidates = { good: { pool: 'mysql2-pool', app } };
      const { problems } = planned({ candidates }, { speed: 10, engine });
      expect(problems.map(({ path }) => path)).toEqual(paths.map(path => `candidates.${path}`));
      for (const { message } of problems)
        expect(message).toMatch(/5s is 500 ms real .* floor of 1000 ms; the largest speed that works is 5/);
    },
  );

  it.each([
    [{ pool: 'pg-pool' }, ['postgres']],
    [{ pool: 'mysql2-pool' }, ['mariadb', 'mysql']],
    [{ pool: 'mysql2-pool', engine: 'mysql' }, ['mysql']],
    [{ pool: 'null-pool', engine: 'mariadb' }, ['mariadb']],
  ] as const)('runs %j on %j, and says of the others that it cannot', (candidate, engines) => {
    for (const engine of ['postgres', 'mariadb', 'mysql'] as const) {
      const { problems } = planned({ candidates: { good: candidate } }, { engine });
      const runs = (engines as readonly string[]).includes(engine);
      expect([engine, problems.map(({ path }) => path)]).toEqual([engine, runs ? [] : ['candidates.good']]);
    }
  });

  it('knows the step of a reaper that the settings turn on', () => {
    const reaperMs = (settings: object) =>
      planned(
        { candidates: { good: { pool: 'mysql2-pool', settings: { ...settings } } } },
        { engine: 'mysql' },
      ).plan.candidateSpec.reaperMs;
    expect([reaperMs({}), reaperMs({ maxIdle: 2 })]).toEqual([null, 1000]);
  });

  it('warns of pools that are larger than the server, together', () => {
    expect(planWarnings(planned({ workers: 4 }).plan)).toEqual([
      'candidate good: 4 workers x max 10 = 40 connections, but the server has 20 slots for the app: it can run out of them',
    ]);
    expect(planWarnings(planned({ workers: 2 }).plan)).toEqual([]);
  });

  it("lets a scenario's check replace the default of the same id, its durations scaled", () => {
    const { plan } = planned({ checks: [{ check: 'recovers', within: '30s' }] }, { speed: 10 });
    const recovers = plan.checks.filter(({ id }) => id === 'recovers');
    expect(recovers).toMatchObject([{ settings: { withinMs: 3000 } }]);
    expect(plan.checks.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['lost', 'unsaved', 'exhaustion']),
    );
  });
});

describe('what faults need', () => {
  const idle = (how: string) => ({ at: '1s', fault: { fault: 'idle-kill', settings: { after: '1s', how } } });
  const packets = (which: string) => ({
    at: '500ms',
    until: '1s',
    fault: { fault: 'packet-drop', settings: { which } },
  });

  it('is in the plan, by their settings', () => {
    expect(planned().plan).toMatchObject({ needs: [], proxy: 'embedded' });
    expect(planned({ faults: [idle('drop')] }).plan.needs).toEqual(['idle-kill']);
    expect(planned({ faults: [idle('drop'), idle('rst')] }, { proxy: 'toxiproxy' }).plan).toMatchObject({
      needs: ['idle-kill', 'idle-reset'],
      proxy: 'toxiproxy',
    });
    expect(planned({}, { path: 'packet' }).plan.proxy).toBe('virtual');
  });

  it('and the world will not have, is a problem of the fault: what, why, and what to do instead', () => {
    const lackOf = (need: string) =>
      need === 'idle-reset' ? { why: 'cannot be done here: no RST', missing: false } : null;
    expect(planned({ faults: [idle('fin'), idle('rst')] }, { lackOf }).problems).toEqual([
      { path: 'faults[1]', message: 'idle-kill cannot be done here: no RST', missing: false },
    ]);
    const virtual = (need: Need) => lackOf_('virtual', need);
    const [problem] = planned({ faults: [packets('all')] }, { lackOf: virtual }).problems;
    expect(problem).toMatchObject({ path: 'faults[0]', missing: false });
    expect(problem!.message).toMatch(
      /^packet-drop cannot run with --virtual: the simulated network .*; run without --virtual; instead: idle-kill/,
    );
  });

  it('every kind of world says of every need how it is met, or why not', () => {
    for (const kind of ['embedded', 'toxiproxy', 'virtual'] as const)
      for (const [need, way] of Object.entries(ways))
        expect('no' in way[kind]).toBe(kind === 'virtual' && need === 'packet-loss');
  });

  it('packet-drop is an outage when all packets are lost, and then must end', () => {
    const kinds = (which: string) =>
      planned({ faults: [packets(which)] }).plan.faults.map(({ kind }) => kind);
    expect([kinds('all'), kinds('existing')]).toEqual([['outage'], ['ambient']]);
    const { until: _until, ...endless } = packets('all');
    expect(validateScenario(story({ faults: [endless] }), registries).problems).toEqual([
      { path: 'faults[0].until', message: 'is missing; packet-drop is an outage here: say when it ends' },
    ]);
  });
});
