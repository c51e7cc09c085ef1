import type { StoredRow } from '../../world/world.ts';
import { SqlError } from './errors.ts';
import { type Key, KeySet } from './keys.ts';
import { type NewRow, RowStore } from './rows.ts';

/** What outlives a session: tables, who holds which key, and what a crash leaves of it. */

export type Table = WriteTable | KeyTable;

export interface WriteTable {
  kind: 'writes';
  name: string;
  trial: string;
  rows: RowStore;
}

export interface KeyTable {
  kind: 'keys';
  name: string;
  trial: string;
  committed: KeySet;
  /** Keys of transactions that have not ended. */
  held: Map<Key, Transaction>;
}

/** A transaction that may write. */
export class Transaction {
  /** 0: it has not written yet. */
  xid = 0;
  readonly rows: { table: WriteTable; row: NewRow }[] = [];
  readonly keys: { table: KeyTable; key: Key }[] = [];
  /** Those who wait for its end, first come first. */
  readonly waiters: (() => void)[] = [];
  /** Whose end it waits for itself. */
  waitsFor: Transaction | null = null;
  readonly pid: number;

  constructor(pid: number) {
    this.pid = pid;
  }
}

/** A commit that a crash may still undo. */
interface Unflushed {
  atMs: number;
  /** Tables and how many rows they had before it. */
  rows: Map<RowStore, number>;
  keys: { table: KeyTable; key: Key }[];
}

const firstXid = 700;
const trialOf = (name: string): boolean => /^[a-z0-9]{1,32}$/.test(name);

export class Store {
  readonly tables = new Map<string, Table>();
  readonly #lossMs: number;
  #trials = new Map<string, { writes: WriteTable; keys: KeyTable }>();
  #xid = firstXid;
  #unflushed: Unflushed[] = [];

  /** `lossMs`: how long a commit that did not wait for its flush may go without one. */
  constructor(lossMs: number) {
    this.#lossMs = lossMs;
  }

  createTables(trial: string): { writes: string; keys: string } {
    if (!trialOf(trial)) throw new Error(`not a trial id: ${JSON.stringify(trial)}`);
    const writes: WriteTable = {
      kind: 'writes',
      name: `poolsoak_${trial}_writes`,
      trial,
      rows: new RowStore(trial),
    };
    if (this.tables.has(writes.name)) throw new SqlError('42P07', `relation "${writes.name}" already exists`);
    const keys: KeyTable = {
      kind: 'keys',
      name: `poolsoak_${trial}_keys`,
      trial,
      committed: new KeySet(),
      held: new Map(),
    };
    this.#trials.set(trial, { writes, keys });
    this.tables.set(writes.name, writes).set(keys.name, keys);
    return { writes: writes.name, keys: keys.name };
  }

  #rowsOf(trial: string): RowStore {
    const tables = this.#trials.get(trial);
    if (!tables) throw new SqlError('42P01', `relation "poolsoak_${trial}_writes" does not exist`);
    return tables.writes.rows;
  }

  countRows(trial: string): number {
    return this.#rowsOf(trial).count;
  }

  readRows(trial: string, each: (row: StoredRow) => void): number {
    const rows = this.#rowsOf(trial);
    for (const n of rows.order()) each(rows.at(n));
    return rows.count;
  }

  /** Bytes its rows and keys take. */
  get bytes(): number {
    let sum = 0;
    for (const { writes, keys } of this.#trials.values()) sum += writes.rows.bytes + keys.committed.bytes;
    return sum;
  }

  /** Gives it its xid, at the first thing it writes. */
  identify(transaction: Transaction): void {
    if (transaction.xid === 0) {
      this.#xid += 1;
      transaction.xid = this.#xid;
    }
  }

  /** `exists`: somebody committed it, or this transaction inserted it. A transaction: wait for its end. */
  takeKey(table: KeyTable, key: Key, transaction: Transaction): 'taken' | 'exists' | Transaction {
    if (table.committed.has(key)) return 'exists';
    const holder = table.held.get(key);
    if (holder) return holder === transaction ? 'exists' : holder;
    table.held.set(key, transaction);
    transaction.keys.push({ table, key });
    return 'taken';
  }

  /** From here on others see it. `asynchronous`: a crash may still undo it. */
  commit(transaction: Transaction, atMs: number, asynchronous: boolean): void {
    if (transaction.xid === 0) return this.#end(transaction);
    if (asynchronous) this.#rememberUnflushed(transaction, atMs);
    // Its flush takes everything before it along.
    else if (this.#unflushed.length > 0) this.#unflushed = [];
    for (const { table, row } of transaction.rows) table.rows.add(row, transaction.xid);
    for (const { table, key } of transaction.keys) table.committed.add(key);
    this.#end(transaction);
  }

  #rememberUnflushed({ rows, keys }: Transaction, atMs: number): void {
    const counts = new Map<RowStore, number>();
    for (const { table } of rows) counts.set(table.rows, table.rows.count);
    let old = 0;
    while (old < this.#unflushed.length && this.#unflushed[old]!.atMs < atMs - this.#lossMs) old += 1;
    if (old > 64 || old === this.#unflushed.length) this.#unflushed.splice(0, old);
    this.#unflushed.push({ atMs, rows: counts, keys: [...keys] });
  }

  rollback(transaction: Transaction): void {
    this.#end(transaction);
  }

  /** Keys after the first `keys` and rows after the first `rows` were never written. */
  rollbackTo(transaction: Transaction, rows: number, keys: number): void {
    transaction.rows.length = rows;
    for (const { table, key } of transaction.keys.splice(keys)) table.held.delete(key);
    this.#wake(transaction);
  }

  #end(transaction: Transaction): void {
    for (const { table, key } of transaction.keys) table.held.delete(key);
    transaction.keys.length = 0;
    transaction.rows.length = 0;
    this.#wake(transaction);
  }

  #wake(transaction: Transaction): void {
    if (transaction.waiters.length === 0) return;
    for (const wake of transaction.waiters.splice(0)) wake();
  }

  /** The server is gone without a shutdown: what was committed within the last `share` of the window is lost. */
  crash(atMs: number, share: number): number {
    const lost = this.#unflushed.filter(commit => commit.atMs > atMs - share * this.#lossMs);
    for (const { rows, keys } of lost.reverse()) {
      for (const [store, count] of rows) store.truncate(count);
      for (const { table, key } of keys) table.committed.delete(key);
    }
    this.#unflushed = [];
    return lost.length;
  }

  /** A clean shutdown writes everything. */
  flush(): void {
    this.#unflushed = [];
  }
}

/** Whether `transaction`, which waits, waits for itself in the end. */
export function isDeadlocked(transaction: Transaction): boolean {
  let next = transaction.waitsFor;
  for (let n = 0; next !== null && n < 10_000; n += 1) {
    if (next === transaction) return true;
    next = next.waitsFor;
  }
  return false;
}

export function deadlockError(own: Transaction, holder: Transaction): SqlError {
  const line = (one: Transaction, other: Transaction | null): string =>
    `Process ${one.pid} waits for ShareLock on transaction ${other?.xid}; blocked by process ${other?.pid}.`;
  return new SqlError('40P01', 'deadlock detected', {
    detail: `${line(own, holder)}\n${line(holder, holder.waitsFor)}`,
    hint: 'See server log for query details.',
  });
}
