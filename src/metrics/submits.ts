import type { LedgerRecord, Settled, Submit } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import { attemptOutcome, submitOutcome } from './certainty.ts';
import { bytes, ints, RowIndex, times } from './columns.ts';
import type { Life, Lives } from './lives.ts';
import { cellOf, type Stored, storedStates } from './truth.ts';
import type { Cell, Outcome } from './types.ts';

const outcomes: readonly Outcome[] = ['acked', 'rejected', 'failed', 'indeterminate', 'notSent'];

/** One bit each. */
export const flag = {
  valid: 1,
  sent: 2,
  open: 4,
  crashed: 8,
  retried: 16,
  spoilt: 32,
  excused: 64,
  read: 128,
} as const;
export type Flag = keyof typeof flag;

/** Every submit of a trial and how it ended: about 60 bytes each. */
export class Submits {
  readonly scheduledMs = times();
  /** When it was handed to its worker, or its user saw an error at once. */
  readonly sentMs = times();
  /** NaN: not settled by the end of drain. */
  readonly settledMs = times();
  readonly life = ints();
  readonly rows = ints();
  readonly line = ints();
  readonly settledLine = ints();
  #flags = bytes();
  #outcome = bytes();
  #stored = bytes();
  #byId = new RowIndex();
  #bySession = new Map<number, RowIndex>();
  #plan: Plan;
  #lives: Lives;

  constructor(plan: Plan, lives: Lives) {
    this.#plan = plan;
    this.#lives = lives;
  }

  get length(): number {
    return this.scheduledMs.length;
  }

  add({ i, t, id, session, seq, worker, life, rows, valid, scheduledMs, sent }: LedgerRecord & Submit): void {
    const row = this.scheduledMs.push(scheduledMs);
    this.sentMs.push(t);
    this.settledMs.push(Number.NaN);
    this.life.push(this.#lives.of(worker, life).row);
    this.rows.push(rows);
    this.line.push(i);
    this.settledLine.push(-1);
    this.#flags.push((valid ? flag.valid : 0) | (sent ? flag.sent : 0));
    this.#outcome.push(outcomes.indexOf(sent ? 'indeterminate' : 'notSent'));
    this.#stored.push(storedStates.indexOf('never'));
    this.#byId.set(id, row);
    this.#seqsOf(session).set(seq, row);
  }

  /** First answer wins; a second one is a protocol violation, recorded by who heard it. */
  settle(settled: LedgerRecord & Settled): void {
    const row = this.#byId.get(settled.id);
    if (row === undefined || this.settledLine.get(row) >= 0) return;
    this.settledLine.set(row, settled.i);
    if (settled.attempts.length > 1) this.raise(row, 'retried');
    if (settled.open) {
      this.raise(row, 'open');
      return;
    }
    this.settledMs.set(row, settled.atMs);
    this.#outcome.set(row, outcomes.indexOf(this.#outcomeOf(settled, this.has(row, 'valid'))));
  }

  /** What never settled: its worker died, or it was still open when all was closed. */
  finish(): void {
    for (let row = 0; row < this.length; row += 1) {
      if (!this.has(row, 'sent') || this.settledLine.get(row) >= 0) continue;
      this.raise(row, this.lifeOf(row).crashed ? 'crashed' : 'open');
    }
  }

  find(id: number): number | undefined {
    return this.#byId.get(id);
  }

  planned(session: number, seq: number): number | undefined {
    return this.#bySession.get(session)?.get(seq);
  }

  has(row: number, name: Flag): boolean {
    return (this.#flags.get(row) & flag[name]) !== 0;
  }

  raise(row: number, name: Flag): void {
    this.#flags.set(row, this.#flags.get(row) | flag[name]);
  }

  lifeOf(row: number): Life {
    return this.#lives.all[this.life.get(row)] as Life;
  }

  outcome(row: number): Outcome {
    return outcomes[this.#outcome.get(row)] as Outcome;
  }

  stored(row: number): Stored {
    return storedStates[this.#stored.get(row)] as Stored;
  }

  store(row: number, stored: Stored): void {
    this.#stored.set(row, storedStates.indexOf(stored));
  }

  cell(row: number): Cell {
    return cellOf(this.outcome(row), this.stored(row), this.has(row, 'valid'));
  }

  /** When its user knew: NaN if never. */
  endMs(row: number): number {
    return this.has(row, 'sent') ? this.settledMs.get(row) : this.sentMs.get(row);
  }

  /** NaN: unsettled. */
  latencyMs(row: number): number {
    return this.endMs(row) - this.scheduledMs.get(row);
  }

  /** The user had gone. True of what never settled, too. */
  late(row: number): boolean {
    return !(this.latencyMs(row) <= this.#plan.patienceMs);
  }

  /** The line that says how it ended, or that it began. */
  lineOf(row: number): number {
    return this.settledLine.get(row) >= 0 ? this.settledLine.get(row) : this.line.get(row);
  }

  #outcomeOf({ outcome, attempts }: Settled, valid: boolean): Outcome {
    const { engine, candidateSpec } = this.#plan;
    const derived = attempts.map(attempt => attemptOutcome(attempt, engine, candidateSpec.app.transaction));
    return submitOutcome(outcome, derived, !valid);
  }

  #seqsOf(session: number): RowIndex {
    const known = this.#bySession.get(session);
    if (known) return known;
    const fresh = new RowIndex();
    this.#bySession.set(session, fresh);
    return fresh;
  }
}
