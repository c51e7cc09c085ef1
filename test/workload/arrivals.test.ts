import { describe, expect, it } from 'vitest';
import type { PlannedWorkload } from '../../src/plan.ts';
import { seeded } from '../../src/random.ts';
import { arrivals } from '../../src/workload/arrivals.ts';

const quiet: PlannedWorkload = {
  sessions: 10,
  everyMs: 1000,
  jitter: 0.2,
  rows: 2,
  rejected: 0,
  bursts: [],
  breaks: [],
};
const all = (workload: Partial<PlannedWorkload>, durationMs = 60_000, seed = 1) => [
  ...arrivals({ ...quiet, ...workload }, durationMs, seeded('arrivals', seed)),
];

describe('arrivals', () => {
  it('come in order of time, numbered per session without a gap', () => {
    const seen = all({});
    const times = seen.map(({ scheduledMs }) => scheduledMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    for (let session = 0; session < 10; session += 1) {
      const seqs = seen.filter(arrival => arrival.session === session).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, n) => n));
    }
  });

  it('are the same for the same seed and others for another', () => {
    expect(all({})).toEqual(all({}));
    expect(all({}, 60_000, 2)).not.toEqual(all({}));
  });

  it('leave the other sessions alone when one more comes', () => {
    const others = all({ sessions: 11 }).filter(({ session }) => session < 10);
    expect(others).toEqual(all({}));
  });

  it('keep their rhythm within the jitter', () => {
    const own = all({ sessions: 1 }).map(({ scheduledMs }) => scheduledMs);
    const gaps = own.slice(1).map((ms, n) => ms - own[n]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(800);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1200);
    expect(own[0]).toBeLessThan(1000);
  });

  it('add one submit a session in a burst, within its time', () => {
    const burst = { atMs: 5000, overMs: 500, submits: 1 };
    expect(all({ bursts: [burst] }).length).toBe(all({ bursts: [] }).length + 10);
    const extra = all({ everyMs: 1e9, bursts: [burst] }, 60_000);
    expect(extra.every(({ scheduledMs }) => scheduledMs >= 5000 && scheduledMs < 5500)).toBe(true);
  });

  it('pause in a break and come back some time after it', () => {
    const seen = all({ breaks: [{ fromMs: 10_000, toMs: 20_000, returnOverMs: 2000 }] });
    expect(seen.filter(({ scheduledMs: ms }) => ms >= 10_000 && ms < 20_000)).toEqual([]);
    const back = new Set(
      seen.filter(({ scheduledMs: ms }) => ms >= 20_000 && ms < 22_000).map(a => a.session),
    );
    expect(back.size).toBe(10);
  });

  it('mark about the stated share as invalid', () => {
    const seen = all({ rejected: 0.07 }, 600_000);
    const share = seen.filter(({ valid }) => !valid).length / seen.length;
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(0.09);
  });
});
