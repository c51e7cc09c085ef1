import type { LedgerRecord } from '../ledger/record.ts';
import { Attempts } from './attempts.ts';
import { connectionsOf } from './connection-counts.ts';
import { AcquireFold, assertPartition, count, LatencyFold, noCounts } from './counts.ts';
import { distortionOf } from './distortion.ts';
import { exhaustionOf } from './exhaustion.ts';
import { markExcused, markSpoilt, probesOf } from './flags.ts';
import { Spread } from './histogram.ts';
import { crashesMax } from './lives.ts';
import { baselineOf, recoveriesOf } from './recovery.ts';
import type { Span } from './spans.ts';
import { readTables, type Tables } from './tables.ts';
import { type Phase, type Timeline, timelineOf } from './timeline.ts';
import type { Crash, PhaseMetrics, TrialMetrics, UnknownReason, Writes } from './types.ts';
import { spoiltOverMs } from './vitals.ts';

/**
 * A trial's ledger -> its numbers. Pure; reads the ledger twice: once for facts and how submits ended,
 * once attempt by attempt. Holds columns, never the records.
 */
export function measure(records: (only?: 'settled') => Iterable<LedgerRecord>): TrialMetrics {
  const tables = readTables(records());
  const probes = probesOf(tables);
  const spoilt = markSpoilt(tables, probes.slow);
  markExcused(tables);
  const timeline = timelineOf(tables);
  const folds = new Folds(tables, timeline);
  const attempts = new Attempts(tables, timeline, wait => folds.wait(wait));
  attempts.read(records('settled'));
  folds.submits();
  const baseline = folds.baseline();
  const warm = new Spread();
  const connections = connectionsOf(tables, timeline, attempts, warm);
  const writes = writesOf(tables, folds, attempts);
  return {
    writes,
    latency: folds.all.latency.latency(),
    ackLatency: folds.ack.distribution(),
    sendLag: folds.sendLag.distribution(),
    acquire: folds.all.acquire.acquire(),
    phases: folds.phaseMetrics(connections.clientMaxIn),
    baseline,
    recovery: recoveriesOf(tables, timeline, baseline, attempts.oldFailed),
    kills: attempts.kills.metrics(attempts.waits),
    killTotals: attempts.kills.totals(),
    exhaustion: exhaustionOf(tables, timeline, attempts),
    refusals: { worker: attempts.refusals.length, log: tables.logRefusals.length },
    connections: connections.counts,
    ...crashesOf(tables),
    protocolViolations: violationsOf(tables),
    memory: { rssMaxBytes: tables.vitals.rssMaxBytes(always) },
    harness: {
      sendLagP99Ms: folds.sendLag.rawPercentileMs(0.99),
      loopDelayP99Ms: tables.vitals.harnessLoop.rawPercentileMs(0.99),
      workerLoopDelayP99Ms: tables.vitals.workerLoop.rawPercentileMs(0.99),
      probeP99Ms: probes.spread.rawPercentileMs(0.99),
      spoiltOverMs: spoiltOverMs(tables.plan),
      spoiltShare: spoilt / Math.max(1, tables.submits.length),
      distortion: distortionOf(tables, warm),
    },
    finalRead: tables.notes.finalRead,
    trouble: troubleOf(tables, writes.acked),
    examples: tables.examples.all(),
  };
}

const always: Span = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };

/** What is folded over submits and waits, for the whole trial and for every phase. */
class Folds {
  readonly all: Fold;
  readonly ack = new Spread();
  readonly sendLag = new Spread();
  #tables: Tables;
  #timeline: Timeline;
  #phases: { phase: Phase; fold: Fold }[];

  constructor(tables: Tables, timeline: Timeline) {
    this.#tables = tables;
    this.#timeline = timeline;
    const { patienceMs } = tables.plan;
    this.all = newFold(patienceMs);
    this.#phases = timeline.phases.map(phase => ({ phase, fold: newFold(patienceMs) }));
  }

  wait(wait: Parameters<AcquireFold['add']>[0]): void {
    const { submits } = this.#tables;
    if (submits.has(wait.submit, 'spoilt')) return;
    this.all.acquire.add(wait);
    for (const fold of this.#holding(submits.scheduledMs.get(wait.submit))) fold.acquire.add(wait);
  }

  submits(): void {
    const { submits } = this.#tables;
    for (let row = 0; row < submits.length; row += 1) {
      for (const fold of [this.all, ...this.#holding(submits.scheduledMs.get(row))]) {
        count(fold.counts, submits, row);
        fold.latency.add(submits, row);
      }
      this.#own(row);
    }
    for (const { counts } of [this.all, ...this.#phases.map(({ fold }) => fold)]) assertPartition(counts);
  }

  baseline(): TrialMetrics['baseline'] {
    const { phase, fold } = this.#phases[0] as { phase: Phase; fold: Fold };
    return baselineOf(this.#tables, this.#timeline, phase, fold.latency.spread);
  }

  phaseMetrics(clientMaxIn: (span: Span) => number): PhaseMetrics[] {
    const { vitals } = this.#tables;
    return this.#phases.map(({ phase, fold }) => ({
      name: phase.name,
      faults: phase.faults,
      fromMs: phase.fromMs,
      toMs: phase.toMs,
      writes: fold.counts,
      latency: fold.latency.latency(),
      acquire: fold.acquire.acquire(),
      connections: { clientMax: clientMaxIn(phase), serverMax: vitals.serverMax(phase) },
      memory: { rssMaxBytes: vitals.rssMaxBytes(phase) },
    }));
  }

  #holding(scheduledMs: number): Fold[] {
    return this.#phases.filter(({ phase }) => phase.holds(scheduledMs)).map(({ fold }) => fold);
  }

  /** What only the whole trial has: acks, send lag, and the lines to look at. */
  #own(row: number): void {
    const { submits, examples } = this.#tables;
    const [cell, latencyMs] = [submits.cell(row), submits.latencyMs(row)];
    const scheduledMs = submits.scheduledMs.get(row);
    if (submits.has(row, 'sent')) this.sendLag.add(submits.sentMs.get(row) - scheduledMs);
    if (submits.outcome(row) === 'acked' && !submits.has(row, 'spoilt')) this.ack.add(latencyMs);
    const line = submits.lineOf(row);
    if (cell !== 'fine' && cell !== 'refused') examples.add(cell, line, latencyMs);
    if (cell === 'unsaved' && !submits.has(row, 'excused'))
      examples.add('unsaved-unexcused', line, latencyMs);
    if (submits.stored(row) === 'split') examples.add('split', line, latencyMs);
    if (submits.has(row, 'open')) examples.add('open', line);
    if (submits.late(row)) examples.add('late', line, latencyMs);
    if (!submits.has(row, 'sent')) examples.add('not-sent', line);
  }
}

type Fold = { counts: ReturnType<typeof noCounts>; latency: LatencyFold; acquire: AcquireFold };
const newFold = (patienceMs: number): Fold => ({
  counts: noCounts(),
  latency: new LatencyFold(patienceMs),
  acquire: new AcquireFold(patienceMs),
});

/** Fewer exposed submits than this say nothing about loss. */
const exposedMin = 30;

/** Zero lost in R trials: at most this share of trials loses something, with 95 % confidence (rule of three). */
export const boundPerRun = (trials: number): number => Math.min(1, 3 / trials);

function writesOf(tables: Tables, { all }: Folds, { exposed }: Attempts): Writes {
  const { lost } = all.counts;
  const foreign = foreignPhantoms(tables);
  const server = lostByServer(tables);
  return {
    ...all.counts,
    unexpected: tables.rows.unexpected,
    lostBecause: { server, candidate: lost - server },
    exposed,
    bound: {
      perWrite: lost === 0 && exposed >= exposedMin ? 3 / exposed : null,
      perRun: lost === 0 ? boundPerRun(1) : null,
    },
    causes:
      foreign > 0
        ? [
            {
              cell: 'phantom',
              cause: 'foreign-commit',
              count: foreign,
              lines: tables.examples.lines('foreign-commit'),
            },
          ]
        : [],
  };
}

/** Phantoms that another submit's COMMIT made: both carry the same transaction id. */
function foreignPhantoms({ rows, submits, examples }: Tables): number {
  let count = 0;
  for (const row of rows.foreign()) {
    if (submits.cell(row) !== 'phantom') continue;
    examples.add('foreign-commit', submits.lineOf(row));
    count += 1;
  }
  return count;
}

/** Acked when the control client, which has no pool, lost its own commits, too. */
function lostByServer({ submits, notes }: Tables): number {
  if (notes.lostByServer.length === 0) return 0;
  let count = 0;
  for (let row = 0; row < submits.length; row += 1) {
    const ms = submits.settledMs.get(row);
    const is = notes.lostByServer.some(({ fromMs, toMs }) => ms >= fromMs && ms <= toMs);
    if (is && submits.cell(row) === 'lost') count += 1;
  }
  return count;
}

function crashesOf({
  lives,
  submits,
  examples,
}: Tables): Pick<TrialMetrics, 'crashes' | 'crashList' | 'crashLoops'> {
  const inFlight = new Map<number, number>();
  for (let row = 0; row < submits.length; row += 1) {
    if (!submits.has(row, 'crashed')) continue;
    inFlight.set(submits.life.get(row), (inFlight.get(submits.life.get(row)) ?? 0) + 1);
  }
  const list = lives.crashed.map((it): Crash => {
    const submitsThen = inFlight.get(it.row) ?? 0;
    examples.add('crash', it.exitLine, submitsThen);
    const { worker, life, endMs, detail, exitLine } = it;
    return { worker, life, atMs: endMs, detail, submits: submitsThen, line: exitLine };
  });
  return { crashes: list.length, crashList: list.slice(0, crashesMax), crashLoops: lives.crashLoops };
}

function violationsOf({ lives, examples }: Tables): TrialMetrics['protocolViolations'] {
  for (const line of lives.violations.lines) examples.add('worker-protocol', line);
  return { count: lives.violations.count, details: lives.violations.details };
}

function troubleOf({ notes, faults }: Tables, acked: number): UnknownReason[] {
  const all = new Set(notes.trouble());
  // An outage without an end is not healed, whether its limit was reached or the trial ended before.
  if (faults.all.some(fault => fault.notHealed) || faults.outages.some(fault => fault.healedMs === null))
    all.add('not-healed');
  if (acked === 0) all.add('no-ack');
  return [...all];
}
