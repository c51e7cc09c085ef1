import { afterAll, describe, expect, it } from 'vitest';
import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { TrialReport } from '../../src/report.ts';
import { removeTempFolders, type Soaked, soakIt } from '../fixtures/soak-it.ts';
import { chanceCodes, type Story, stories } from './cells.ts';

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

describe.each(stories)('$scenario.name: real and virtual agree', ({ scenario, races }: Story) => {
  const names = Object.keys(scenario.candidates ?? {});
  let real: Soaked;
  let virtual: Soaked;

  it('runs on both', async () => {
    real = await soakIt(scenario);
    virtual = await soakIt(scenario, { virtual: 'userspace', speed: scenario.speed! });
    expect(virtual.report.trials).toHaveLength(names.length);
  });

  it.each(names)('%s', name => {
    const n = names.indexOf(name);
    const [seen, simulated] = [sideOf(real, n), sideOf(virtual, n)];
    const raced = races[name];
    const apart = differing(seen, simulated);
    process.stdout.write(
      `${scenario.name} ${name}: ${seen.verdict} ${JSON.stringify(seen.deciding)} [${seen.codes}] virtual [${simulated.codes}] ` +
        `${apart === '' ? 'every count equal' : apart}${raced ? ` (races: ${raced})` : ''}\n`,
    );
    const compared = ({ verdict, deciding, codes }: Side) => ({
      verdict,
      deciding,
      codes: raced ? codes.filter(code => !chanceCodes.includes(code)) : codes,
    });
    expect(compared(simulated)).toEqual(compared(seen));
    if (!raced) expect(simulated.counts).toEqual(seen.counts);
  });
});
