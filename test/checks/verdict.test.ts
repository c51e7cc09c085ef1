import { describe, expect, it } from 'vitest';
import { hintText } from '../../src/checks/hints.ts';
import * as barrel from '../../src/checks/index.ts';
import { judge, judgeSafely, worstOf } from '../../src/checks/verdict.ts';
import type { TrialMetrics } from '../../src/metrics/types.ts';
import type { Plan } from '../../src/plan.ts';
import { candidate, ended, fault, Hand, habits, handPlan, manyFine, withRestart } from '../metrics/hand.ts';

/** The default checks, as a plan has them. */
const defaults: Plan['checks'] = [
  ...['lost', 'duplicated', 'torn', 'phantom', 'unexpected', 'crash', 'worker-protocol', 'poisoned'].map(
    id => ({
      id,
      settings: { max: 0 },
    }),
  ),
  { id: 'unsaved', settings: { max: 1, share: 0.001 } },
  { id: 'recovers', settings: { withinMs: 60_000 } },
  { id: 'exhaustion', settings: { causes: ['leak', 'starved', 'broken-timeout'], max: 0 } },
];
const checked = (over: Partial<Plan> = {}) => new Hand({ checks: defaults, ...over });
const verdictOf = (hand: Hand, change: (metrics: TrialMetrics) => TrialMetrics = it => it) =>
  judge(hand.plan, change(hand.measure()));
const named = (hand: Hand, name: string) => verdictOf(hand).checks.find(check => check.name === name)!;

describe('the worst of verdicts', () => {
  it.each([
    [['pass', 'pass'], 'pass'],
    [['pass', 'unknown'], 'unknown'],
    [['unknown', 'fail', 'pass'], 'fail'],
    [[], 'unknown'],
  ] as const)('%j: %s', (verdicts, worst) => {
    expect(worstOf(verdicts)).toBe(worst);
  });
});

describe('the verdict of a trial', () => {
  it('passes when every check passes', () => {
    const hand = checked();
    manyFine(hand, 10, 0);
    expect(verdictOf(hand)).toMatchObject({ verdict: 'pass', unknownBecause: [] });
  });

  it('without checks is unknown', () => {
    const hand = checked({ checks: [] });
    hand.fine(0);
    expect(verdictOf(hand)).toMatchObject({ verdict: 'unknown', unknownBecause: ['no-data'], checks: [] });
  });

  it('with a check that does not exist is unknown, and says which there are', () => {
    const hand = checked({ checks: [{ id: 'lots', settings: {} }] });
    hand.fine(0);
    const { verdict, checks } = verdictOf(hand);
    expect(verdict).toBe('unknown');
    expect(checks[0]!.because).toMatch(/no check "lots"; there are .*lost/);
  });

  it('without a single ack is unknown, though liveness fails', () => {
    const hand = checked();
    for (let n = 0; n < 10; n += 1) hand.failing(n);
    const { verdict, unknownBecause, checks } = verdictOf(hand);
    expect([verdict, unknownBecause]).toEqual(['unknown', ['no-ack']]);
    expect(checks.find(({ name }) => name === 'unsaved')!.verdict).toBe('fail');
  });

  it('without a single ack fails when something unsafe happened', () => {
    const hand = checked();
    hand.store(hand.failing(0));
    expect(verdictOf(hand)).toMatchObject({ verdict: 'fail', unknownBecause: ['no-ack'] });
  });

  it('a broken trial takes liveness away, and never excuses what is unsafe', () => {
    const hand = checked();
    hand.fineUnstored(0);
    hand.failing(10);
    hand.failing(20);
    hand.note(30, 'trouble', 'proxy-lost', false);
    const { verdict, unknownBecause, checks } = verdictOf(hand);
    expect([verdict, unknownBecause]).toEqual(['fail', ['proxy-lost']]);
    expect(checks.filter(check => check.verdict === 'fail').map(({ name }) => name)).toEqual(['lost']);
  });

  it.each(['interrupted', 'guardian-lost', 'proxy-lost', 'server-lost'] as const)(
    '%s: unknown at best',
    name => {
      const hand = checked();
      hand.fine(0);
      hand.note(30, 'trouble', name, false);
      expect(verdictOf(hand)).toMatchObject({ verdict: 'unknown', unknownBecause: [name] });
    },
  );

  it('even where only safety was asked for, and stands', () => {
    const hand = checked({ checks: [{ id: 'lost', settings: { max: 0 } }] });
    hand.fine(0);
    hand.note(30, 'trouble', 'interrupted', false);
    const { verdict, checks } = verdictOf(hand);
    expect([verdict, checks[0]!.verdict]).toEqual(['unknown', 'pass']);
  });

  it('not healed: unknown at best', () => {
    const hand = checked({ faults: [fault('idle-kill-1', 'ambient', 0, 10)] });
    hand.fine(0);
    hand.fault('idle-kill-1', 'inject', 0).fault('idle-kill-1', 'not-healed', 50);
    expect(verdictOf(hand)).toMatchObject({ verdict: 'unknown', unknownBecause: ['not-healed'] });
  });

  it('rows that may change still say nothing of what is lost', () => {
    const hand = checked();
    hand.fineUnstored(0);
    hand.fine(10);
    hand.worker(20, 'exit', { crash: true });
    hand.note(30, 'final-read', 'count-again', false, '2, then 4');
    const { verdict, checks } = verdictOf(hand);
    expect(checks.find(({ name }) => name === 'lost')).toMatchObject({
      verdict: 'unknown',
      unknownBecause: 'counts-differ',
    });
    expect(verdict).toBe('fail'); // the crash stands
  });
});

describe('may-lose', () => {
  it('blames the candidate only for what the server kept', () => {
    const hand = (durability: Plan['durability']) => {
      const it = checked({ durability });
      it.fine(1);
      it.fineUnstored(5000);
      it.note(9000, 'control', 'lost', false, JSON.stringify({ fromMs: 4000, toMs: 6000 }));
      return it;
    };
    expect(named(hand('may-lose'), 'lost')).toMatchObject({ verdict: 'pass', seen: 0 });
    expect(named(hand('may-lose'), 'lost').because).toContain('1 more by the server');
    expect(named(hand('none-lost'), 'lost')).toMatchObject({ verdict: 'fail', seen: 1 });
  });
});

describe('unsaved', () => {
  const unsaved = (good: number, bad: number, prepare: (hand: Hand) => void = () => {}) => {
    const hand = checked();
    manyFine(hand, good, 0, 10);
    for (let n = 0; n < bad; n += 1) hand.failing(90_000 + n);
    prepare(hand);
    return named(hand, 'unsaved');
  };

  it('allows one, or one in a thousand', () => {
    expect(unsaved(10, 1)).toMatchObject({ verdict: 'pass', limit: 1, seen: 1 });
    expect(unsaved(10, 2)).toMatchObject({ verdict: 'fail', limit: 1, seen: 2 });
    expect(unsaved(2998, 2)).toMatchObject({ verdict: 'pass', limit: 3, seen: 2 });
    expect(unsaved(2996, 4)).toMatchObject({ verdict: 'fail', limit: 3, seen: 4 });
  });

  it('does not count what an outage excuses', () => {
    const hand = withRestart({ checks: defaults });
    manyFine(hand, 150, 0);
    hand.outage('restart-1', 20_000, 25_000);
    for (let n = 0; n < 40; n += 1) hand.failing(21_000 + n);
    expect(named(hand, 'unsaved')).toMatchObject({ verdict: 'pass', seen: 0 });
    expect(named(hand, 'unsaved').because).toContain('40 unsaved, 0 saved');
  });

  it('a few that the machine spoilt are no evidence, many leave it unknown', () => {
    const spoil = (count: number) => (hand: Hand) => {
      for (let n = 0; n < count; n += 1) hand.failing(95_000 + n, 3000, { sentMs: 95_000 + n + 2600 });
    };
    expect(unsaved(1000, 0, spoil(5))).toMatchObject({ verdict: 'pass', seen: 0 });
    expect(unsaved(100, 0, spoil(5))).toMatchObject({ verdict: 'unknown', unknownBecause: 'machine' });
    // Fails without them, too.
    expect(unsaved(100, 5, spoil(5))).toMatchObject({ verdict: 'fail', seen: 10 });
  });
});

describe('recovers', () => {
  const outage = (prepare: (hand: Hand) => void, over: Partial<Plan> = {}) => {
    const hand = withRestart({ checks: defaults, ...over });
    manyFine(hand, 150, 0);
    hand.outage('restart-1', 20_000, 25_000);
    prepare(hand);
    return named(hand, 'recovers');
  };
  const bad = (hand: Hand, toMs: number) => {
    for (let ms = 26_100; ms <= toMs; ms += 1000) hand.failing(ms);
  };

  it('passes when it is well in time', () => {
    expect(
      outage(hand => {
        bad(hand, 80_000);
        manyFine(hand, 40, 81_000);
      }),
    ).toMatchObject({ verdict: 'pass', seen: 56_000 });
  });

  it('fails when it was still bad after that', () => {
    expect(
      outage(hand => {
        bad(hand, 86_000);
        manyFine(hand, 40, 87_000);
      }),
    ).toMatchObject({ verdict: 'fail', seen: 62_000 });
  });

  it('fails when it is never well, however early the trial ends', () => {
    expect(outage(hand => bad(hand, 40_000))).toMatchObject({ verdict: 'fail' });
  });

  it('is unknown between the last bad and the first good', () => {
    // Bad until 50 s after the heal, nobody comes until 62 s.
    const { verdict, unknownBecause } = outage(hand => {
      bad(hand, 75_100);
      manyFine(hand, 40, 87_000);
    });
    expect([verdict, unknownBecause]).toEqual(['unknown', 'no-data']);
  });

  it('is unknown with too few submits', () => {
    expect(outage(hand => manyFine(hand, 3, 26_000))).toMatchObject({ verdict: 'unknown' });
  });

  it('is unknown without a baseline, and says why', () => {
    const hand = withRestart({ checks: defaults });
    manyFine(hand, 50, 0);
    hand.outage('restart-1', 20_000, 25_000);
    expect(named(hand, 'recovers')).toMatchObject({ verdict: 'unknown', unknownBecause: 'baseline' });
    expect(named(hand, 'recovers').because).toContain('only 50 submits');
  });

  it('is unknown when a planned outage never came', () => {
    const hand = withRestart({ checks: defaults });
    manyFine(hand, 150, 0);
    expect(named(hand, 'recovers')).toMatchObject({ verdict: 'unknown', unknownBecause: 'no-data' });
  });

  it('has nothing against a trial without outages', () => {
    const hand = checked();
    hand.fine(0);
    expect(named(hand, 'recovers')).toMatchObject({ verdict: 'pass', seen: null });
  });

  it('tells times as the scenario has them, and as they were', () => {
    const scaled = { speed: 20, checks: [{ id: 'recovers', settings: { withinMs: 3000 } }] };
    const { because } = outage(hand => {
      bad(hand, 26_100);
      manyFine(hand, 40, 26_205);
    }, scaled);
    expect(because).toContain('between 22 s (1.1 s x20) and 24.1 s (1.21 s x20)');
    expect(because).toContain('at most 60 s (3 s x20) allowed');
  });
});

describe('exhaustion', () => {
  it('server-limit and client-limit inform, unless a scenario says otherwise', () => {
    const hand = checked();
    hand.fine(0);
    hand.refused(5000);
    expect(named(hand, 'exhaustion')).toMatchObject({ verdict: 'pass', seen: 0 });
    expect(named(hand, 'exhaustion').because).toContain('for information: 1 episode of server-limit');
    const strict = checked({
      checks: [{ id: 'exhaustion', settings: { causes: ['server-limit'], max: 0 } }],
    });
    strict.fine(0);
    strict.conn(9, 'open', 100).conn(9, 'borrow', 100);
    strict.settle(strict.submit(100), 110, 'acked', [ended.acked(100, 10, 9)]);
    strict.refused(50_000);
    strict.refused(60_000);
    strict.worker(55_000, 'closing');
    // The first hides behind a leak.
    expect(strict.measure().exhaustion.map(({ cause }) => cause)).toEqual(['leak', 'server-limit']);
    expect(named(strict, 'exhaustion')).toMatchObject({ verdict: 'fail', seen: 2 });
  });

  it('fails by a leak that another cause hides behind, and names the habit', () => {
    const hand = checked({ ...habits({ release: 'on-success' }) });
    hand.fine(0);
    hand.conn(9, 'open', 40_000).conn(9, 'borrow', 40_000);
    hand.settle(hand.submit(40_000, { valid: false }), 40_010, 'rejected', [ended.rejected(40_000, 10, 9)]);
    hand.worker(60_000, 'closing');
    const { verdict, because } = named(hand, 'exhaustion');
    expect(verdict).toBe('fail');
    expect(because).toContain('leak from 45 s for 15 s: connections of settled submits were not given back');
    expect(because).toContain('app.release: on-success');
  });
});

describe('checks on phases', () => {
  const check = (id: string, settings: object, prepare: (hand: Hand) => void = () => {}) => {
    const hand = withRestart({ checks: [{ id, settings: settings as Record<string, unknown> }] });
    manyFine(hand, 150, 0);
    hand.outage('restart-1', 20_000, 25_000);
    hand.fine(21_000, 800);
    prepare(hand);
    return named(hand, id);
  };

  it('look at the one that is named, or at all of its kind', () => {
    const limit = { of: 'max', maxMs: 500 };
    expect(check('latency', { ...limit, phase: 'baseline' })).toMatchObject({
      verdict: 'pass',
      phase: 'baseline',
      seen: 5,
    });
    expect(check('latency', { ...limit, phase: 'during' })).toMatchObject({
      verdict: 'fail',
      phase: 'during:restart-1',
      seen: 800,
      limit: 500,
    });
    expect(check('latency', limit)).toMatchObject({ verdict: 'fail', phase: null });
  });

  it('are unknown where there is no such phase, or too little in it', () => {
    expect(check('latency', { of: 'max', maxMs: 500, phase: 'during:pause-1' })).toMatchObject({
      verdict: 'unknown',
      because: 'there is no phase "during:pause-1"',
      unknownBecause: 'no-data',
    });
    expect(check('latency', { of: 'p99', maxMs: 500, phase: 'during' }).because).toContain(
      '1 samples are too few',
    );
    expect(check('memory', { maxMb: 100 }).because).toContain('no worker told of its memory');
  });

  it('a censored percentile is over its limit, by an unknown time', () => {
    const { verdict, because } = check('latency', { of: 'max', maxMs: 5000 }, hand =>
      hand.failing(50_000, 11_000),
    );
    expect([verdict, because]).toEqual(['fail', 'max of user latency was over 10 s, at most 5 s allowed']);
  });

  it('count connections where they are asked for', () => {
    const some = (hand: Hand) => {
      hand.conn(1, 'open', 100).conn(2, 'open', 21_000);
      hand.say(200, {
        k: 'sample',
        sessions: 7,
        active: 0,
        idle: 7,
        idleInTransaction: 0,
        harnessLoopDelayMs: 0,
      });
    };
    expect(check('connections', { of: 'client', max: 1, phase: 'baseline' }, some)).toMatchObject({
      verdict: 'pass',
      seen: 1,
    });
    expect(check('connections', { of: 'client', max: 1 }, some)).toMatchObject({ verdict: 'fail', seen: 2 });
    expect(check('connections', { of: 'server', max: 6 }, some)).toMatchObject({ verdict: 'fail', seen: 7 });
  });
});

describe('what is behind it', () => {
  it('names habits and knobs by what the candidate says of them', () => {
    const { plan } = new Hand({
      ...candidate({ settings: { idleTimeoutMillis: 0, query_timeout: 0, maxLifetimeSeconds: 300 } }),
    });
    const text = hintText(plan, 'poisoned');
    expect(text).toContain('idle connections are kept for ever (idleTimeoutMillis: 0)');
    expect(text).toContain('query_timeout: 0');
    expect(text).not.toContain('maxLifetimeSeconds');
  });

  it('says nothing of a knob that the pool does not have, nor of what is set well', () => {
    expect(hintText(handPlan, 'poisoned', 'crash', 'leak', 'waits')).toBe('');
  });

  it('a listener on a pool is nothing to one without a pool', () => {
    const { plan } = new Hand({
      ...candidate({
        max: null,
        app: { ...handPlan.candidateSpec.app, onPoolError: 'none', onClientError: 'none' },
      }),
    });
    expect(hintText(plan, 'crash')).toBe(
      ". Behind it: no 'error' listener on a checked-out client (app.onClientError: none)",
    );
  });
});

it('a loss is told with where to look, a pass with what it is worth', () => {
  const hand = checked();
  hand.fineUnstored(0);
  hand.fine(10);
  expect(named(hand, 'lost').because).toMatch(/^1 lost of 2 acked, none allowed \(ledger line 3\): /);
  const exposed = withRestart({ checks: defaults }).outage('restart-1', 20_000, 25_000);
  for (let n = 0; n < 60; n += 1) exposed.fine(20_000 + n * 10);
  expect(named(exposed, 'lost').because).toBe(
    '0 lost of 60 acked, none allowed; 60 exposed to a fault: at most 5 % of such writes',
  );
  const few = checked();
  few.fine(0);
  expect(named(few, 'lost').because).toContain('too few exposed to say');
});

it('judgeSafely keeps what the check found', () => {
  const hand = checked();
  hand.fine(0);
  const judgement = judgeSafely(barrel.lost, { max: 0 }, hand.measure(), { plan: hand.plan });
  expect(judgement).toEqual({
    name: 'lost',
    kind: 'safety',
    verdict: 'pass',
    because: expect.any(String),
    limit: 0,
    seen: 0,
    phase: null,
    unknownBecause: null,
  });
});
