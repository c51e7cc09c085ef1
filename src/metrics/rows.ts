import type { LedgerRecord, Row } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import { sha256 } from '../random.ts';
import { ints, times } from './columns.ts';
import type { Examples } from './examples.ts';
import type { Submits } from './submits.ts';
import { storedAs } from './truth.ts';

interface Group {
  submit: number;
  copies: number[];
  xids: Set<string>;
}

/** The write table as it was read at the end: what is stored of each submit, and what nobody planned. */
export class StoredRows {
  rows = 0;
  unexpected = 0;
  #plan: Plan;
  #submits: Submits;
  #examples: Examples;
  #group: Group | null = null;
  #xid = times();
  #xidSubmit = ints();

  constructor(plan: Plan, submits: Submits, examples: Examples) {
    this.#plan = plan;
    this.#submits = submits;
    this.#examples = examples;
  }

  /** Rows of one submit come together: they were read in (session, seq) order. */
  add(row: LedgerRecord & Row): void {
    this.rows += 1;
    const submit = this.#plannedAs(row);
    if (submit === null) {
      this.unexpected += 1;
      this.#examples.add('unexpected', row.i);
      return;
    }
    if (this.#group?.submit !== submit) this.#begin(submit, row.i);
    const group = this.#group as Group;
    group.copies[row.row] = (group.copies[row.row] as number) + 1;
    group.xids.add(row.xid);
  }

  finish(): void {
    if (!this.#group) return;
    const { submit, copies, xids } = this.#group;
    const oneTransaction = this.#plan.candidateSpec.app.transaction === 'explicit';
    this.#submits.store(submit, storedAs(copies, { transactions: xids.size, oneTransaction }));
    for (const xid of xids) {
      this.#xid.push(Number(xid));
      this.#xidSubmit.push(submit);
    }
    this.#group = null;
  }

  /** Submits that share a transaction with another one. In MySQL the xid is a connection's: it says nothing. */
  foreign(): Set<number> {
    const shared = new Set<number>();
    if (this.#plan.engine !== 'postgres') return shared;
    const sorted = this.#xid.sorted();
    const twice = new Set<number>();
    for (let n = 1; n < sorted.length; n += 1)
      if (sorted[n] === sorted[n - 1]) twice.add(sorted[n] as number);
    if (twice.size === 0) return shared;
    for (let n = 0; n < this.#xid.length; n += 1)
      if (twice.has(this.#xid.get(n))) shared.add(this.#xidSubmit.get(n));
    return shared;
  }

  /** The submit it belongs to; null: nobody planned this row. */
  #plannedAs({ trial, session, seq, row, sha, valid }: Row): number | null {
    const submit = this.#submits.planned(session, seq);
    if (submit === undefined || trial !== this.#plan.trial) return null;
    if (!Number.isInteger(row) || row < 0 || row >= this.#submits.rows.get(submit)) return null;
    // A stored row with valid = false passed a CHECK that forbids it.
    if (!valid || sha !== sha256(`${trial}:${session}:${seq}:${row}`)) return null;
    return submit;
  }

  #begin(submit: number, line: number): void {
    this.finish();
    if (this.#submits.has(submit, 'read'))
      throw new Error(`ledger line ${line}: rows of one submit are not together: our bug`);
    this.#submits.raise(submit, 'read');
    this.#group = { submit, copies: new Array(this.#submits.rows.get(submit)).fill(0), xids: new Set() };
  }
}
