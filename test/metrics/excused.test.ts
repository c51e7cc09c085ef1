import { describe, expect, it } from 'vitest';
import { boundPerRun } from '../../src/metrics/metrics.ts';
import { ended, fault, Hand, tried, withRestart } from './hand.ts';

describe('excused by an outage', () => {
  /** Outage [20 s, 25 s], grace 1 s, patience 10 s. */
  const unsavedAt = (scheduledMs: number, tookMs: number) => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    hand.failing(scheduledMs, tookMs);
    hand.say(60_000, { k: 'note', what: 'phase', name: 'soak', ok: true, detail: null });
    return hand.measure().writes.excused.unsaved;
  };

  it.each([
    ['scheduled at inject', 20_000, 5, 1],
    ['scheduled within it', 22_000, 5, 1],
    ['scheduled in the grace', 26_000, 5, 1],
    ['scheduled after the grace', 26_001, 5, 0],
    ['scheduled before, unsettled at inject', 19_000, 1001, 1],
    ['scheduled before, settled at inject', 19_000, 1000, 0],
    ['scheduled longer than patience before, unsettled', 9_999, 12_000, 0],
    ['scheduled exactly patience before, unsettled', 10_000, 12_000, 1],
  ])('%s', (_, scheduledMs, tookMs, excused) => {
    expect(unsavedAt(scheduledMs, tookMs)).toBe(excused);
  });

  it('counts what was bridged as saved', () => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    hand.fine(21_000, 5000);
    hand.fine(30_000);
    const refused = hand.submit(21_500, { sent: false });
    expect(refused).toBe(2);
    expect(hand.measure().writes).toMatchObject({ excused: { saved: 1, unsaved: 1 }, unsaved: 1, fine: 2 });
  });

  it('an ambient fault excuses nothing', () => {
    const hand = new Hand({ faults: [fault('idle-kill-1', 'ambient', 20_000, 25_000)] });
    hand.outage('idle-kill-1', 20_000, 25_000);
    hand.failing(22_000);
    expect(hand.measure().writes).toMatchObject({ unsaved: 1, excused: { saved: 0, unsaved: 0 } });
  });

  it('an outage that never heals excuses all that comes after', () => {
    const hand = withRestart().fault('restart-1', 'inject', 20_000);
    hand.failing(90_000);
    expect(hand.measure()).toMatchObject({
      writes: { excused: { unsaved: 1 } },
      trouble: ['not-healed', 'no-ack'],
    });
  });
});

describe('exposed to a fault', () => {
  /** Exposed within [19 s, 26 s]. */
  const exposedBy = (startedAt: number, endedAt: number | null) => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    const open = endedAt === null;
    const attempt = tried(startedAt, { endedAt, outcome: open ? null : 'acked' });
    hand.settle(hand.submit(startedAt), endedAt ?? 90_000, open ? 'indeterminate' : 'acked', [attempt], open);
    return hand.measure().writes.exposed;
  };

  it.each([
    ['ended a second before inject', 10_000, 18_999, 0],
    ['open within a second of inject', 10_000, 19_000, 1],
    ['all of it within', 21_000, 22_000, 1],
    ['began within a second of the heal', 26_000, 26_100, 1],
    ['began later', 26_001, 26_100, 0],
    ['never ended', 10_000, null, 1],
  ])('%s', (_, startedAt, endedAt, exposed) => {
    expect(exposedBy(startedAt, endedAt)).toBe(exposed);
  });

  it('counts attempts, and those of which a dead worker could not tell as one', () => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    hand.settle(hand.submit(19_500), 25_000, 'acked', [
      ended.failed(19_500, 600),
      ended.failed(21_000, 600),
      ended.acked(24_000),
    ]);
    hand.submit(19_600, { worker: 1 });
    hand.submit(10, { worker: 1, life: 2 });
    hand.worker(20_100, 'exit', { worker: 1, crash: true });
    hand.worker(9000, 'exit', { worker: 1, life: 2, crash: true });
    hand.submit(21_000, { sent: false });
    expect(hand.measure().writes.exposed).toBe(4);
  });

  it('on a connection that an ambient fault killed', () => {
    const hand = new Hand({ faults: [fault('idle-kill-1', 'ambient', 0, 90_000)] });
    hand.fault('idle-kill-1', 'inject', 0);
    hand.conn(1, 'open', 0, { localPort: 4001 }).conn(2, 'open', 0, { localPort: 4002 });
    hand.conn(1, 'borrow', 100).conn(1, 'release', 105);
    hand.settle(hand.submit(100), 105, 'acked', [ended.acked(100)]);
    hand.say(5000, {
      k: 'kill',
      fault: 'idle-kill-1',
      clientPort: 4001,
      link: 1,
      atMs: 5000,
      how: 'drop',
      idleMs: 4000,
    });
    hand.conn(1, 'borrow', 6000).conn(2, 'borrow', 6000);
    hand.settle(hand.submit(6000), 6100, 'failed', [ended.failed(6000, 100, 1)]);
    hand.settle(hand.submit(6000), 6010, 'acked', [ended.acked(6000, 10, 2)]);
    expect(hand.measure().writes.exposed).toBe(1);
  });
});

describe('the bound beside zero', () => {
  const exposedHand = (count: number) => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    for (let n = 0; n < count; n += 1) hand.fine(20_000 + n * 10);
    return hand;
  };

  it('is 3 / E from 30 exposed on', () => {
    expect(exposedHand(29).measure().writes.bound.perWrite).toBeNull();
    expect(exposedHand(30).measure().writes.bound).toEqual({ perWrite: 0.1, perRun: 1 });
    expect(exposedHand(300).measure().writes.bound.perWrite).toBe(0.01);
  });

  it('is none when something was lost', () => {
    const hand = exposedHand(60);
    hand.fineUnstored(50_000);
    expect(hand.measure().writes).toMatchObject({ lost: 1, bound: { perWrite: null, perRun: null } });
  });

  it('per run is 3 / R, and never more than all', () => {
    expect([1, 3, 30].map(boundPerRun)).toEqual([1, 1, 0.1]);
  });
});
