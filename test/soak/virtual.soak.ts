import { afterAll, expect, it } from 'vitest';
import day from '../../scenarios/fgscan-day.ts';
import shift from '../../scenarios/fgscan-shift.ts';
import { removeTempFolders, soakIt } from '../fixtures/soak-it.ts';

afterAll(removeTempFolders);

it('fgscan-shift ends as expected in virtual time, every candidate, seeds 1 to 20', async () => {
  const seeds = Array.from({ length: 20 }, (_, n) => n + 1);
  const { report } = await soakIt(shift, { seeds, virtual: 'userspace' });
  const odd = report.trials.filter(({ expected }) => !expected?.asExpected);
  expect(odd.map(({ candidate, seed, expected }) => [candidate, seed, expected?.because])).toEqual([]);
  expect(report.trials).toHaveLength(100);
});

it('fgscan-day ends as expected, every candidate', async () => {
  const { report } = await soakIt(day, { virtual: 'userspace' });
  const odd = report.trials.filter(({ expected }) => !expected?.asExpected);
  expect(odd.map(({ candidate, expected }) => [candidate, expected?.because])).toEqual([]);
});
