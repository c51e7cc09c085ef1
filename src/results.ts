import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { judge } from './checks/verdict.ts';
import { UsageError } from './failure.ts';
import { LedgerError, readLedger } from './ledger/ledger.ts';
import type { Header, LedgerRecord } from './ledger/record.ts';
import { measure } from './metrics/metrics.ts';
import type { Plan } from './plan.ts';
import { buildReport, type Report, type RunFacts, type TrialReport, trialReport } from './report.ts';
import type { Reporter } from './reporters/reporter.ts';

/** The result folder: run.json, a ledger per trial, and what reporters make of them. */
export interface Results {
  dir: string;
  ledgerPath(name: string): string;
  /** Writes run.json alone: a trial begins. */
  note(facts: RunFacts): void;
  /** As `note`, for a run that ends with an error, which must not be hidden by another. */
  cutShort(facts: RunFacts): void;
  /** The trial of that ledger, judged. */
  judge(ledger: string): TrialReport;
  /** Judges the ledgers that are there and writes every file anew. */
  write(facts: RunFacts): Report;
}

/** Made, with all its files, before anything starts: what cannot be written fails now and not at the end. */
export function createResults(dir: string, facts: RunFacts, reporters: readonly Reporter[]): Results {
  try {
    mkdirSync(dir, { recursive: true });
    if (readdirSync(dir).length > 0)
      throw new UsageError(`--out ${dir}: the folder is not empty; name another one, or a new one`);
    const results = resultsIn(dir, reporters);
    results.write(facts);
    return results;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--out ${dir}: cannot be written: ${(error as Error).message}`);
  }
}

/** `warn`: told of what was left out, such as a line that was cut. */
export function resultsIn(
  dir: string,
  reporters: readonly Reporter[],
  warn: (text: string) => void = () => {},
): Results {
  const judged = new Map<string, TrialReport>();
  const trial = (name: string): TrialReport => {
    const report = judged.get(name) ?? judgeLedger(join(dir, name), name, warn);
    judged.set(name, report);
    return report;
  };
  const note = (facts: RunFacts) => replaceFile(join(dir, 'run.json'), `${JSON.stringify(facts, null, 2)}\n`);
  const write = (facts: RunFacts): Report => {
    note(facts);
    const there = facts.ledgers.filter(name => begun(dir, name, facts));
    const report = buildReport(facts, there.map(trial));
    for (const reporter of reporters) replaceFile(join(dir, reporter.file), reporter.render(report));
    return report;
  };
  return {
    dir,
    ledgerPath: name => join(dir, name),
    note,
    judge: trial,
    cutShort(facts) {
      try {
        write({ ...facts, status: 'interrupted' });
      } catch {
        // The disk that was full is full still.
      }
    },
    write,
  };
}

/** A run that was killed may name a last ledger in which nothing stands yet. */
const begun = (dir: string, name: string, { status, ledgers }: RunFacts): boolean => {
  const path = join(dir, name);
  return status === 'done' || name !== ledgers.at(-1) || (existsSync(path) && statSync(path).size > 0);
};

/** Temp and rename: whoever reads meanwhile sees the old or the new file, whole. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

export function readRunFacts(dir: string): RunFacts {
  const path = join(dir, 'run.json');
  if (!existsSync(path))
    throw new UsageError(`${dir}: no result folder of poolsoak: there is no run.json in it`);
  try {
    const facts = JSON.parse(readFileSync(path, 'utf8')) as RunFacts;
    if (facts.schemaVersion !== 1)
      throw new Error(`schemaVersion ${facts.schemaVersion}, this poolsoak reads 1`);
    return facts;
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
}

function judgeLedger(path: string, name: string, warn: (text: string) => void): TrialReport {
  if (!existsSync(path)) throw new UsageError(`ledger ${path}: run.json names it, but it is not there`);
  try {
    let told = false;
    const onCut = (line: number) => {
      if (!told) warn(`${name}: line ${line + 1} is cut and left out`);
      told = true;
    };
    const records = (only?: 'settled'): Iterable<LedgerRecord> => readLedger(path, onCut, only);
    const header = headerOf(records(), path);
    const plan = header.plan as Plan;
    const metrics = measure(records);
    const judged = judge(plan, metrics);
    return trialReport({
      plan,
      versions: header.versions,
      metrics,
      ...judged,
      ledger: name,
      ledgerSha256: fileSha256(path),
    });
  } catch (error) {
    if (error instanceof LedgerError) throw new UsageError(error.message);
    throw error;
  }
}

function headerOf(records: Iterable<LedgerRecord>, path: string): Header {
  for (const record of records) {
    if (record.k !== 'header') break;
    return record;
  }
  throw new LedgerError(`ledger ${path}, line 1: no header`);
}

function fileSha256(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(1024 * 1024);
  const fd = openSync(path, 'r');
  try {
    for (let n = readSync(fd, chunk); n > 0; n = readSync(fd, chunk)) hash.update(chunk.subarray(0, n));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}
