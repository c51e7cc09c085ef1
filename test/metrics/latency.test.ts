import { describe, expect, it } from 'vitest';
import { mergeHistograms, Spread } from '../../src/metrics/histogram.ts';
import { ended, Hand, manyFine } from './hand.ts';

describe('user latency', () => {
  it('is of every scheduled submit but the rejected, censored at patience', () => {
    const hand = new Hand();
    hand.fine(0, 30);
    hand.fine(100, 12_000); // late, but acked: its time is known
    hand.failing(200, 40);
    hand.failing(300, 11_000); // late and failed: the user had gone
    hand.submit(400); // never settled
    hand.submit(500, { sent: false });
    hand.rejecting(600, 7000);
    const { latency, ackLatency } = hand.measure();
    expect(latency).toMatchObject({ n: 6, censored: 2, censoredAtMs: 10_000, maxMs: 12_000 });
    expect(latency.successRate).toBeCloseTo(1 / 6);
    expect(ackLatency).toMatchObject({ n: 2, censored: 0, maxMs: 12_000 });
  });

  it('counts a planned rejection that ended otherwise', () => {
    const hand = new Hand();
    hand.settle(hand.submit(0, { valid: false }), 10, 'failed', [ended.failed(0)]);
    expect(hand.measure().latency).toMatchObject({ n: 1, successRate: 0 });
  });

  it('prints a percentile only when five samples lie above it', () => {
    const hand = new Hand();
    manyFine(hand, 99, 0);
    expect(hand.measure().latency).toMatchObject({ n: 99, p50Ms: 5, p95Ms: null, p99Ms: null, maxMs: 5 });
    hand.fine(50_000, 70);
    expect(hand.measure().latency).toMatchObject({
      n: 100,
      p95Ms: expect.closeTo(5, 1),
      p99Ms: null,
      maxMs: 70,
    });
  });

  it('says no more than "longer than patience" of what is beyond it', () => {
    const hand = new Hand();
    for (let n = 0; n < 20; n += 1) hand.failing(n, 11_000);
    hand.fine(30, 10_500);
    expect(hand.measure().latency).toMatchObject({ p50Ms: 10_000, maxMs: 10_500, censored: 20 });
  });

  it('has nothing to say of nothing', () => {
    const empty = { n: 0, p50Ms: null, maxMs: null, hist: null, successRate: null };
    expect(new Hand().measure().latency).toMatchObject(empty);
  });
});

describe('acquire', () => {
  it('is per attempt; what waited for nothing counts with its wait', () => {
    const hand = new Hand({ ...timeoutOf(50) });
    hand.settle(hand.submit(0), 200, 'acked', [
      ended.unacquired(0, 50),
      ended.unacquired(60, 10, { sqlState: '53300' }),
      ended.acked(100),
    ]);
    const open = { ...ended.unacquired(300, 0), endedAt: null, outcome: null, error: null };
    hand.settle(hand.submit(300), 90_000, 'indeterminate', [open], true);
    const { acquire } = hand.measure();
    expect(acquire).toMatchObject({ n: 4, failed: 2, timeouts: 1, censored: 1, maxMs: 10_000 });
  });

  it('a timer may fire a hair early; a server’s answer is no timeout', () => {
    const hand = new Hand({ ...timeoutOf(50) });
    hand.settle(hand.submit(0), 200, 'failed', [
      ended.unacquired(0, 49.2),
      ended.unacquired(60, 60, { sqlState: '57P03' }),
      ended.unacquired(130, 20),
    ]);
    expect(hand.measure().acquire).toMatchObject({ failed: 3, timeouts: 1 });
  });
});

it('send lag is of what was sent', () => {
  const hand = new Hand();
  hand.fine(0, 50, { sentMs: 8 });
  hand.submit(100, { sent: false, sentMs: 140 });
  expect(hand.measure().sendLag).toMatchObject({ n: 1, maxMs: 8 });
});

describe('histograms', () => {
  const spreadOf = (values: number[]) => {
    const spread = new Spread();
    for (const value of values) spread.add(value);
    return spread;
  };

  it('merge: percentiles over trials come from all samples', () => {
    const low = spreadOf(new Array(150).fill(1));
    const high = spreadOf(new Array(50).fill(100));
    const merged = mergeHistograms([low.distribution().hist, high.distribution().hist, null]);
    expect(merged.n).toBe(200);
    expect(merged.percentileMs(0.5)).toBe(1);
    expect(merged.percentileMs(0.95)).toBeCloseTo(100, 0);
    expect(merged.percentileMs(0.99)).toBeNull();
  });

  it('are right to three digits from a microsecond to a day, and exact at the top', () => {
    const spread = spreadOf([0.001, 1234.567, 86_400_000]);
    expect(spread.rawPercentileMs(0.33)).toBe(0.001);
    expect(spread.rawPercentileMs(0.5)! / 1234.567).toBeCloseTo(1, 3);
    expect(spread.distribution().maxMs).toBe(86_400_000);
  });

  it('are bounded: a million samples take no more room than ten', () => {
    const spread = new Spread();
    for (let n = 0; n < 1_000_000; n += 1) spread.add((n % 1000) / 7);
    expect(spread.distribution().hist!.length).toBeLessThan(10_000);
  });

  it('of few samples the steady percentile has five above it', () => {
    expect(spreadOf([1, 2, 3]).steadyPercentileMs(0.95)).toBeNull();
    expect(spreadOf(Array.from({ length: 20 }, (_, n) => n)).steadyPercentileMs(0.95)).toBeCloseTo(14, 1);
  });
});

function timeoutOf(acquireTimeoutMs: number) {
  const { plan } = new Hand();
  return { candidateSpec: { ...plan.candidateSpec, acquireTimeoutMs } };
}
