import { describe, expect, it } from 'vitest';
import { bracketOf } from '../../src/metrics/recovery.ts';
import { ended, fault, Hand, handPlan, manyFine, withRestart } from './hand.ts';

/** 150 good submits before an outage [20 s, 25 s]. */
function healthy(hand = withRestart()): Hand {
  manyFine(hand, 150, 0);
  return hand.outage('restart-1', 20_000, 25_000);
}
const recoveryOf = (hand: Hand) => hand.measure().recovery[0]!;

describe('recovery states', () => {
  it('recovered: from the first good submit of a good window', () => {
    const hand = healthy();
    hand.failing(25_100);
    hand.fine(25_200);
    hand.failing(25_300);
    manyFine(hand, 30, 25_400);
    expect(recoveryOf(hand)).toMatchObject({
      faults: ['restart-1'],
      injectMs: 20_000,
      effectiveMs: 20_010,
      healCalledMs: 24_980,
      lastFailedMs: 24_990,
      healedMs: 25_000,
      outageMs: 4990,
      state: 'recovered',
      afterMs: 300,
      byMs: 400,
      relapses: 0,
      submits: 33,
    });
  });

  it('recovered at once: the bracket begins at the heal', () => {
    const hand = healthy();
    manyFine(hand, 20, 25_050);
    expect(recoveryOf(hand)).toMatchObject({ state: 'recovered', afterMs: 0, byMs: 50 });
  });

  it('with relapses: bad ones after the window', () => {
    const hand = healthy();
    manyFine(hand, 20, 25_100);
    hand.failing(30_000);
    hand.failing(31_000);
    expect(recoveryOf(hand)).toMatchObject({ state: 'recovered', byMs: 100, relapses: 2 });
  });

  it('never: more than half of the last ones are bad', () => {
    const hand = healthy();
    for (let n = 0; n < 5; n += 1) hand.failing(25_100 + n * 100);
    expect(recoveryOf(hand)).toMatchObject({ state: 'never', afterMs: 500, byMs: null, submits: 5 });
  });

  it('censored: too few submits to say never', () => {
    const hand = healthy();
    for (let n = 0; n < 4; n += 1) hand.failing(25_100 + n * 100);
    expect(recoveryOf(hand)).toMatchObject({ state: 'censored', afterMs: 400, byMs: null });
  });

  it('censored: good at last, but not for a whole window', () => {
    const hand = healthy();
    for (let n = 0; n < 5; n += 1) hand.failing(25_100 + n * 100);
    manyFine(hand, 19, 26_000);
    expect(recoveryOf(hand)).toMatchObject({ state: 'censored', afterMs: 500, byMs: null });
  });

  it('censored: nobody came', () => {
    expect(recoveryOf(healthy())).toMatchObject({ state: 'censored', afterMs: null, byMs: null, submits: 0 });
  });

  it('unknown: the fault did not heal', () => {
    const hand = withRestart();
    manyFine(hand, 150, 0);
    hand.fault('restart-1', 'inject', 20_000).fault('restart-1', 'not-healed', 60_000);
    const { recovery, trouble } = hand.measure();
    expect(recovery[0]).toMatchObject({ state: 'unknown', unknownBecause: 'not-healed', healedMs: null });
    expect(trouble).toEqual(['not-healed']);
  });
});

describe('unknown without a baseline', () => {
  const stateAfter = (prepare: (hand: Hand) => void, hand = withRestart()) => {
    prepare(hand);
    hand.outage('restart-1', 20_000, 25_000);
    manyFine(hand, 40, 25_100);
    const { recovery, baseline } = hand.measure();
    return [recovery[0]!.state, recovery[0]!.unknownBecause, baseline.unusable];
  };

  it('of at least 100 submits', () => {
    expect(stateAfter(hand => manyFine(hand, 99, 0))).toEqual([
      'unknown',
      'baseline',
      expect.stringContaining('only 99 submits'),
    ]);
    expect(stateAfter(hand => manyFine(hand, 100, 0))).toEqual(['recovered', null, null]);
  });

  it('with a burst, if the scenario has any', () => {
    const bursty = (atMs: number) =>
      withRestart({ workload: { ...handPlan.workload, bursts: [{ atMs, overMs: 100, submits: 1 }] } });
    expect(stateAfter(hand => manyFine(hand, 150, 0), bursty(30_000))).toEqual([
      'unknown',
      'baseline',
      'no burst before the first fault',
    ]);
    expect(stateAfter(hand => manyFine(hand, 150, 0), bursty(10_000))[0]).toBe('recovered');
  });

  it('that is not bad itself: a candidate that is always bad "recovers" at once', () => {
    const bad = (count: number) => (hand: Hand) => {
      manyFine(hand, 100 - count, 0);
      for (let n = 0; n < count; n += 1) hand.failing(15_000 + n);
    };
    expect(stateAfter(bad(5))[0]).toBe('recovered');
    expect(stateAfter(bad(6))).toEqual(['unknown', 'baseline', expect.stringContaining('6.0 %')]);
  });
});

describe('what is bad', () => {
  /** Baseline p95 is 5 ms: slower than 105 ms is bad. */
  it.each([
    [105, 'recovered'],
    [106, 'never'],
  ])('%i ms after a baseline of 5 ms: %s', (tookMs, state) => {
    const hand = healthy();
    for (let n = 0; n < 25; n += 1) hand.fine(25_100 + n * 200, tookMs);
    expect(recoveryOf(hand).state).toBe(state);
  });

  it('twice the baseline where that is more', () => {
    const hand = withRestart();
    for (let n = 0; n < 150; n += 1) hand.fine(n * 100, 400);
    hand.outage('restart-1', 20_000, 25_000);
    for (let n = 0; n < 20; n += 1) hand.fine(25_100 + n * 900, 790);
    const { baseline, recovery } = hand.measure();
    expect(baseline.p95Ms).toBe(400);
    expect(baseline.latencyLimitMs).toBe(800);
    expect(recovery[0]!.state).toBe('recovered');
  });

  it('not a rejection as planned', () => {
    const hand = healthy();
    for (let n = 0; n < 20; n += 1) hand.rejecting(25_100 + n * 100);
    expect(recoveryOf(hand)).toMatchObject({ state: 'recovered', byMs: 100 });
  });

  it('an unplanned rejection, a doubt, and what was not sent', () => {
    const hand = healthy();
    for (let n = 0; n < 7; n += 1) {
      hand.settle(hand.submit(25_100 + n), 25_200, 'rejected', [ended.rejected(25_100)]);
      hand.settle(hand.submit(25_300 + n), 25_400, 'indeterminate', [ended.indeterminate(25_300)]);
      hand.submit(25_500 + n, { sent: false });
    }
    expect(recoveryOf(hand)).toMatchObject({ state: 'never', submits: 21, afterMs: 506 });
  });
});

describe('the window', () => {
  const good = (count: number) => new Array<boolean>(count).fill(false);
  const at = (bad: readonly boolean[]) => bad.map((_, n) => n);

  it('allows as many bad as the baseline had, plus one in a hundred', () => {
    // floor(20 x 0.06) = 1 with b = 5 %; floor(20 x 0.01) = 0 with b = 0.
    const one = [...good(5), true, ...good(14), true, ...good(14)];
    expect(bracketOf(at(one), one, 0.05)).toEqual({ state: 'recovered', afterMs: 0, byMs: 0, relapses: 1 });
    // floor(20 x 0.055) = 1: of b alone it would be none.
    expect(bracketOf(at(one), one, 0.045)).toMatchObject({ state: 'recovered', byMs: 0 });
    expect(bracketOf(at(one), one, 0)).toMatchObject({ state: 'censored', afterMs: 20 });
    const clean = [...one, ...good(6)];
    expect(bracketOf(at(clean), clean, 0)).toEqual({
      state: 'recovered',
      afterMs: 20,
      byMs: 21,
      relapses: 0,
    });
  });

  it('begins with a good submit', () => {
    const bad = [true, ...good(20)];
    expect(bracketOf(at(bad), bad, 0.05)).toMatchObject({ afterMs: 0, byMs: 1 });
  });

  it('exactly half bad is not never', () => {
    const half = [...good(10), ...new Array<boolean>(10).fill(true)];
    expect(bracketOf(at(half), half, 0).state).toBe('censored');
    const more = [...good(9), ...new Array<boolean>(11).fill(true)];
    expect(bracketOf(at(more), more, 0).state).toBe('never');
  });
});

describe('clusters', () => {
  const two = [fault('restart-1', 'outage', 20_000, 25_000), fault('restart-2', 'outage', 30_000, 32_000)];

  it('outages with fewer than 20 submits between them are one', () => {
    const hand = healthy(new Hand({ faults: two })).outage('restart-2', 30_000, 32_000);
    manyFine(hand, 19, 25_100);
    manyFine(hand, 25, 32_100);
    const { recovery, phases } = hand.measure();
    expect(recovery).toHaveLength(1);
    expect(recovery[0]).toMatchObject({
      faults: ['restart-1', 'restart-2'],
      injectMs: 20_000,
      healedMs: 32_000,
      byMs: 100,
      submits: 25,
    });
    expect(phases.map(({ name }) => name)).toContain('recovery:restart-1+restart-2');
  });

  it('with 20 between them they are two, and the first is judged up to the second', () => {
    const hand = healthy(new Hand({ faults: two })).outage('restart-2', 30_000, 32_000);
    manyFine(hand, 20, 25_100);
    manyFine(hand, 25, 32_100);
    expect(hand.measure().recovery).toMatchObject([
      { faults: ['restart-1'], submits: 20, byMs: 100 },
      { faults: ['restart-2'], submits: 25, byMs: 100 },
    ]);
  });

  it('outages that overlap are one, from the last heal', () => {
    const overlapping = [two[0]!, fault('pause-1', 'outage', 22_000, 24_000)];
    const hand = healthy(new Hand({ faults: overlapping })).outage('pause-1', 22_000, 24_000);
    expect(hand.measure().recovery).toMatchObject([{ faults: ['restart-1', 'pause-1'], healedMs: 25_000 }]);
  });
});

describe('first success, first try', () => {
  it('of submits sent since the outage took effect, from the heal', () => {
    const hand = healthy();
    hand.fine(19_000, 6100); // sent before: its success proves nothing
    hand.fine(24_000, 1300); // bridged it
    hand.submit(25_050, { sent: false });
    hand.failing(25_070);
    expect(recoveryOf(hand)).toMatchObject({ firstSuccessMs: 300, firstTryMs: 70 });
  });

  it('none', () => {
    expect(recoveryOf(healthy())).toMatchObject({ firstSuccessMs: null, firstTryMs: null });
  });
});

describe('errors per old connection', () => {
  const withOld = () => {
    const hand = healthy();
    for (const conn of [1, 2, 3]) hand.conn(conn, 'opening', 0).conn(conn, 'open', 10);
    hand.conn(3, 'close', 21_000);
    hand.conn(4, 'open', 22_000);
    return hand;
  };
  const borrow = (hand: Hand, conn: number, at: number, ok: boolean) => {
    hand.conn(conn, 'borrow', at).conn(conn, 'release', at + 4);
    const how = ok ? ended.acked : ended.failed;
    hand.settle(hand.submit(at), at + 5, ok ? 'acked' : 'failed', [how(at, 4, conn)]);
  };

  it('failed first borrows of connections older than the outage, per such connection', () => {
    const hand = withOld();
    borrow(hand, 1, 15_000, false); // before: no matter
    borrow(hand, 1, 26_000, false); // first after the heal
    borrow(hand, 1, 27_000, false); // second: no matter
    borrow(hand, 2, 26_500, true);
    borrow(hand, 2, 28_000, false);
    borrow(hand, 4, 26_200, false); // opened during the outage
    expect(recoveryOf(hand)).toMatchObject({ oldConnections: 2, errorsPerOldConnection: 0.5 });
  });

  it('none survived', () => {
    const hand = healthy();
    hand.conn(1, 'open', 0).conn(1, 'close', 20_100);
    hand.conn(2, 'open', 0, { worker: 1 }).worker(20_200, 'exit', { worker: 1, crash: true });
    expect(recoveryOf(hand)).toMatchObject({ oldConnections: 0, errorsPerOldConnection: null });
  });
});
