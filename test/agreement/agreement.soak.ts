import { afterAll, describe, expect, it } from 'vitest';
import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { TrialReport } from '../../src/report.ts';
import { removeTempFolders, type Soaked, soakIt } from '../fixtures/soak-it.ts';
import { type Story, stories } from './cells.ts';

afterAll(removeTempFolders);

interface Side {
  verdict: string;
  /** Checks that do not pass. */
  deciding: Record<string, string>;
  codes: string[];
  counts: Record<string, number>;
}

/** What app workers saw: SQLSTATE, the driver's code, or what pg says where it has no code. */
function errorCodes(records: readonly LedgerRecord[]): string[] {
  const codes = new Set<string>();
  for (const record of records) {
    if (record.k !== 'settled') continue;
    for (const { error } of record.attempts)
      if (error) codes.add(error.sqlState ?? error.code ?? told(error.message));
  }
  return [...codes].sort();
}

/** pg has two texts for a lost connection: it depends on whether a query was under way. */
const told = (message: string): string =>
  /^(Connection terminated|Client has encountered a connection error)/.test(message)
    ? 'connection lost'
    : message;

function sideOf({ report, records }: Soaked, n: number): Side {
  const { verdict, checks, writes, connections, crashes } = report.trials[n] as TrialReport;
  const failing = checks.filter(check => check.verdict !== 'pass');
  const { scheduled, acked, rejected, failed, indeterminate, late, ghost, unsaved } = writes;
  return {
    verdict,
    deciding: Object.fromEntries(failing.map(check => [check.name, check.verdict])),
    codes: errorCodes(records(n)),
    counts: {
      scheduled,
      acked,
      rejected,
      failed,
      indeterminate,
      late,
      ghost,
      unsaved,
      crashes,
      opened: connections.opened,
      poisoned: connections.poisoned,
    },
  };
}

const differing = (real: Side, virtual: Side): string =>
  Object.entries(real.counts)
    .filter(([name, count]) => virtual.counts[name] !== count)
    .map(([name, count]) => `${name} ${count} real, ${virtual.counts[name]} virtual`)
    .join('; ');

/** Raced cells: a code that comes in one run of three is no longer missed by chance in so many. */
const virtualSeeds = Array.from({ length: 40 }, (_, n) => n + 1);
const realSeeds = [1, 2];

const inEvery = (sets: string[][]): string[] =>
  (sets[0] ?? []).filter(code => sets.every(set => set.includes(code)));

describe.each(stories)('$scenario.name: real and virtual agree', ({ scenario, races }: Story) => {
  const names = Object.keys(scenario.candidates ?? {});
  const isRaced = Object.keys(races).length > 0;
  let real: Soaked;
  let virtual: Soaked;

  /** One side of a candidate for every seed, the first seed first. */
  const sides = (soaked: Soaked, name: string): Side[] =>
    soaked.report.trials.flatMap((trial, n) => (trial.candidate === name ? [sideOf(soaked, n)] : []));

  it('runs on both', async () => {
    real = await soakIt(scenario, { seeds: isRaced ? realSeeds : [1] });
    virtual = await soakIt(scenario, {
      virtual: 'userspace',
      speed: scenario.speed!,
      seeds: isRaced ? virtualSeeds : [1],
    });
    expect(virtual.report.trials).toHaveLength(names.length * (isRaced ? virtualSeeds.length : 1));
  });

  it.each(names)('%s', name => {
    const [allSeen, allSimulated] = [sides(real, name), sides(virtual, name)];
    const [seen, simulated] = [allSeen[0]!, allSimulated[0]!];
    const raced = races[name];
    const apart = differing(seen, simulated);
    process.stdout.write(
      `${scenario.name} ${name}: ${seen.verdict} ${JSON.stringify(seen.deciding)} [${seen.codes}] virtual [${simulated.codes}] ` +
        `${apart === '' ? 'every count equal' : apart}${raced ? ` (races: ${raced})` : ''}\n`,
    );
    const judged = ({ verdict, deciding }: Side) => ({ verdict, deciding });
    expect(allSimulated.slice(0, allSeen.length).map(judged)).toEqual(allSeen.map(judged));
    if (!raced) {
      expect(simulated.codes).toEqual(seen.codes);
      expect(simulated.counts).toEqual(seen.counts);
      return;
    }
    const [seenCodes, simulatedCodes] = [
      allSeen.map(side => side.codes),
      allSimulated.map(side => side.codes),
    ];
    expect(simulatedCodes.flat(), 'what the real one showed').toEqual(
      expect.arrayContaining(seenCodes.flat()),
    );
    expect(seenCodes.flat(), 'what the virtual one always shows').toEqual(
      expect.arrayContaining(inEvery(simulatedCodes)),
    );
  });
});
