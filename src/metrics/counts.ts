import type { AcquireWait } from './attempts.ts';
import { Spread } from './histogram.ts';
import type { Submits } from './submits.ts';
import { type Acquire, type Counts, cells, type Latency } from './types.ts';

export const noCounts = (): Counts => ({
  scheduled: 0,
  submitted: 0,
  notSent: 0,
  acked: 0,
  rejected: 0,
  failed: 0,
  indeterminate: 0,
  late: 0,
  open: 0,
  crashed: 0,
  retried: 0,
  fine: 0,
  lost: 0,
  duplicated: 0,
  torn: 0,
  split: 0,
  phantom: 0,
  ghost: 0,
  unsaved: 0,
  refused: 0,
  excused: { saved: 0, unsaved: 0 },
  spoilt: 0,
  unsavedSpoilt: 0,
});

/** Submits counted: of the whole trial, or of one phase. */
export function count(counts: Counts, submits: Submits, row: number): void {
  const cell = submits.cell(row);
  const [excused, spoilt] = [submits.has(row, 'excused'), submits.has(row, 'spoilt')];
  counts.scheduled += 1;
  counts[submits.outcome(row)] += 1;
  counts[cell] += 1;
  if (submits.has(row, 'sent')) counts.submitted += 1;
  if (submits.late(row)) counts.late += 1;
  if (submits.has(row, 'open')) counts.open += 1;
  if (submits.has(row, 'crashed')) counts.crashed += 1;
  if (submits.has(row, 'retried')) counts.retried += 1;
  if (submits.stored(row) === 'split') counts.split += 1;
  if (spoilt) counts.spoilt += 1;
  if (excused && cell === 'fine') counts.excused.saved += 1;
  if (excused && cell === 'unsaved') counts.excused.unsaved += 1;
  if (spoilt && !excused && cell === 'unsaved') counts.unsavedSpoilt += 1;
}

/** scheduled = all cells = all outcomes. */
export function assertPartition(counts: Counts): void {
  const { scheduled, notSent, acked, rejected, failed, indeterminate } = counts;
  const inCells = cells.reduce((sum, cell) => sum + counts[cell], 0);
  const inOutcomes = notSent + acked + rejected + failed + indeterminate;
  if (scheduled === inCells && scheduled === inOutcomes) return;
  throw new Error(
    `${scheduled} submits scheduled, but ${inCells} in the cells and ${inOutcomes} in the outcomes: our bug`,
  );
}

/** What users waited: every scheduled submit but those rejected as planned and those the machine spoilt. */
export class LatencyFold {
  readonly spread: Spread;
  #acked = 0;

  constructor(patienceMs: number) {
    this.spread = new Spread(patienceMs);
  }

  add(submits: Submits, row: number): void {
    const outcome = submits.outcome(row);
    if (outcome === 'rejected' || submits.has(row, 'spoilt')) return;
    const [ms, late] = [submits.latencyMs(row), submits.late(row)];
    if (outcome === 'acked' && !late) this.#acked += 1;
    // A late ack has its time; of other late ends only that the user had gone is of interest.
    if (late && outcome !== 'acked') this.spread.censor();
    else this.spread.add(ms);
  }

  latency(): Latency {
    const { n } = this.spread;
    return { ...this.spread.distribution(), successRate: n > 0 ? this.#acked / n : null };
  }
}

export class AcquireFold {
  #spread: Spread;
  #failed = 0;
  #timeouts = 0;

  constructor(patienceMs: number) {
    this.#spread = new Spread(patienceMs);
  }

  /** Attempts that ended without a connection count with the time they waited for nothing. */
  add({ waitMs, end }: AcquireWait): void {
    if (end === 'open') this.#spread.censor();
    else this.#spread.add(waitMs);
    if (end === 'failed' || end === 'timeout') this.#failed += 1;
    if (end === 'timeout') this.#timeouts += 1;
  }

  acquire(): Acquire {
    return { ...this.#spread.distribution(), failed: this.#failed, timeouts: this.#timeouts };
  }
}
