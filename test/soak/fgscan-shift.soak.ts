import { afterAll, describe, expect, it } from 'vitest';
import shift from '../../scenarios/fgscan-shift.ts';
import type { TrialReport } from '../../src/report.ts';
import { removeTempFolders, soakIt } from '../fixtures/soak-it.ts';

const seeds = Array.from({ length: Number(process.env.POOLSOAK_SEEDS ?? 1) }, (_, n) => n + 1);

/** A slow machine may leave a trial unknown, and must then be named; it may never turn a verdict. */
const machineOnly = ({ verdict, unknownBecause }: TrialReport): boolean =>
  verdict === 'unknown' && unknownBecause.some(reason => reason === 'machine' || reason === 'compression');

describe('fgscan-shift', () => {
  afterAll(removeTempFolders);

  it.each(seeds)('seed %i: every candidate ends as expected', async seed => {
    const { report } = await soakIt(shift, { seeds: [seed] });
    const odd = report.trials.filter(trial => !trial.expected?.asExpected);
    for (const { candidate, expected, unknownBecause } of odd)
      process.stdout.write(`${candidate}: ${expected?.because} (${unknownBecause.join(', ')})\n`);
    expect(odd.length).toBeLessThanOrEqual(1);
    expect(
      odd.filter(trial => !machineOnly(trial)).map(({ candidate, expected }) => [candidate, expected]),
    ).toEqual([]);
  });

  it('counts the leak: connections of settled submits still open = rejected submits so far', async () => {
    const only = { ...shift, candidates: { leaky: shift.candidates!.leaky! }, expect: {} };
    const { report } = await soakIt(only);
    const { leakedAtFirstRefusal, rejectedAtFirstRefusal } = report.trials[0]!.connections;
    expect(rejectedAtFirstRefusal).toBeGreaterThan(10);
    expect(Math.abs(leakedAtFirstRefusal! - rejectedAtFirstRefusal!)).toBeLessThanOrEqual(2);
  });
});
