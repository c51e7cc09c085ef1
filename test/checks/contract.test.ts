import { describe, expect, it } from 'vitest';
import type { Check } from '../../src/checks/check.ts';
import * as barrel from '../../src/checks/index.ts';
import { judgeSafely } from '../../src/checks/verdict.ts';
import { durationMs } from '../../src/duration.ts';
import type { TrialMetrics } from '../../src/metrics/types.ts';
import type { Plan } from '../../src/plan.ts';
import { candidate, ended, Hand, handPlan, manyFine, withRestart } from '../metrics/hand.ts';

const checks = Object.values(barrel as Record<string, Check>);

/** Settings as the plan hands them over: durations are ms, under their name and "Ms". */
function planned(check: Check, written: object, speed = 1): Record<string, unknown> {
  const all = check.settings.parse(written) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) =>
      check.durations.includes(name) ? [`${name}Ms`, durationMs(value as string) / speed] : [name, value],
    ),
  );
}

/** What a scenario must say to have a check at all. */
const written: Record<string, object> = {
  latency: { of: 'max', max: '1s' },
  acquire: { of: 'max', max: '1s' },
  connections: { max: 2 },
  memory: { maxMb: 100 },
};

/** A trial in which nothing went wrong: an outage, 200 submits around it. */
function well(over: Partial<Plan> = {}): Hand {
  const hand = withRestart(over);
  manyFine(hand, 120, 0);
  hand.conn(1, 'opening', 0).conn(1, 'open', 1);
  hand.gauges(5000, 1, { rssBytes: 50 * 1024 * 1024 });
  hand.outage('restart-1', 20_000, 25_000);
  manyFine(hand, 80, 26_100);
  return hand;
}

/** For every check: a trial that fails it, and only it among those of its kind. */
const fails: Record<string, (hand: Hand) => void> = {
  lost: hand => hand.fineUnstored(50_000),
  duplicated: hand => hand.store(hand.fineUnstored(50_000), [2, 1]),
  torn: hand => hand.store(hand.fineUnstored(50_000), [1, 0]),
  phantom: hand => hand.store(hand.failing(50_000)),
  unexpected: hand => hand.row({ session: 99 }),
  crash: hand => hand.worker(50_000, 'exit', { crash: true }),
  'worker-protocol': hand => hand.worker(50_000, 'protocol'),
  unsaved: hand => {
    hand.failing(50_000);
    hand.failing(51_000);
  },
  recovers: hand => {
    for (let n = 0; n < 60; n += 1) hand.fine(26_050 + n * 1200, 900);
  },
  exhaustion: hand => {
    hand.conn(9, 'open', 40_000).conn(9, 'borrow', 40_000);
    hand.settle(hand.submit(40_000, { valid: false }), 40_010, 'rejected', [ended.rejected(40_000, 10, 9)]);
    hand.worker(60_000, 'closing');
  },
  poisoned: hand => {
    const attempt = { ...ended.failed(50_000), step: 'begin' as const };
    hand.settle(hand.submit(50_000), 50_004, 'failed', [attempt]);
  },
  latency: hand => hand.fine(50_000, 1001),
  acquire: hand => hand.settle(hand.submit(50_000), 51_200, 'failed', [ended.unacquired(50_000, 1001)]),
  connections: hand => hand.conn(2, 'open', 50_000).conn(3, 'open', 50_000),
  memory: hand => hand.gauges(50_000, 1, { rssBytes: 101 * 1024 * 1024 }),
};

const judged = (check: Check, metrics: TrialMetrics, plan: Plan = well().plan) =>
  judgeSafely(check, planned(check, written[check.id] ?? {}), metrics, { plan });

describe.each(checks.map(check => [check.id, check] as const))('check %s', (id, check) => {
  it('has an id, a summary, and durations that are settings', () => {
    expect(id).toMatch(/^[a-z][a-z-]*$/);
    expect(check.summary.length).toBeGreaterThan(10);
    for (const name of check.durations) expect(Object.keys(check.settings.shape)).toContain(name);
  });

  it('has defaults for everything, if it is judged by default', () => {
    expect(check.settings.safeParse({}).success).toBe(check.byDefault);
  });

  it('refuses settings it does not know', () => {
    expect(check.settings.safeParse({ ...written[id], unheardOf: 1 }).success).toBe(false);
  });

  it('passes where nothing went wrong', () => {
    expect(judged(check, well().measure())).toMatchObject({
      name: id,
      verdict: 'pass',
      unknownBecause: null,
    });
  });

  it('fails where it went wrong, and says so with a number', () => {
    const hand = well();
    fails[id]!(hand);
    const judgement = judged(check, hand.measure());
    expect(judgement).toMatchObject({ name: id, verdict: 'fail', kind: check.kind, unknownBecause: null });
    expect(judgement.because).toMatch(/\d/);
    expect(judgement.limit).not.toBeNull();
  });

  it('is unknown, with a reason, where the trial was cut short or gave no rows', () => {
    const hand = well();
    hand.complete = false;
    hand.read = false;
    const { verdict, unknownBecause } = judged(check, hand.measure());
    const expected = check.needsRows ? 'no-data' : check.kind === 'liveness' ? 'interrupted' : null;
    expect([verdict, unknownBecause]).toEqual(expected ? ['unknown', expected] : ['pass', null]);
  });

  it('does not throw on a trial in which nothing happened', () => {
    expect(['pass', 'fail', 'unknown']).toContain(
      judged(check, new Hand().measure(), new Hand().plan).verdict,
    );
  });

  it('that throws is unknown, with what it threw', () => {
    const broken = {
      ...check,
      judge: () => {
        throw new Error('one of ours');
      },
    };
    const { verdict, because, unknownBecause } = judgeSafely(broken, {}, well().measure(), {
      plan: handPlan,
    });
    expect([verdict, unknownBecause]).toEqual(['unknown', 'no-data']);
    expect(because).toContain('one of ours');
  });

  it('without its settings is unknown, not passed', () => {
    const { verdict } = judgeSafely(check, {}, well().measure(), { plan: well().plan });
    expect(verdict).toBe('unknown');
  });

  it('is left unknown by too high a speed if it is of liveness, and only then', () => {
    const plan = { speed: 20, ...candidate({ reaperMs: 1000, settings: { idleTimeout: 1000 } }) };
    const { verdict, unknownBecause, because } = judged(check, well(plan).measure());
    if (check.kind === 'safety') expect(verdict).toBe('pass');
    else expect([verdict, unknownBecause]).toEqual(['unknown', 'compression']);
    if (check.kind === 'liveness') expect(because).toContain('100 % of the idleTimeout');
  });
});

it('there is a failing story for every check', () => {
  expect(Object.keys(fails).sort()).toEqual(checks.map(({ id }) => id).sort());
});

it('every default of the defaults is as agreed', () => {
  const defaults = Object.fromEntries(
    checks.filter(({ byDefault }) => byDefault).map(check => [check.id, check.settings.parse({})]),
  );
  expect(defaults).toEqual({
    lost: { max: 0 },
    duplicated: { max: 0 },
    torn: { max: 0 },
    phantom: { max: 0 },
    unexpected: { max: 0 },
    crash: { max: 0 },
    'worker-protocol': { max: 0 },
    unsaved: { max: 1, share: 0.001 },
    recovers: { within: '60s' },
    exhaustion: { causes: ['leak', 'starved', 'broken-timeout'], max: 0 },
    poisoned: { max: 0 },
  });
});
