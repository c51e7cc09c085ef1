import { SqlError } from './errors.ts';
import type { Status } from './messages.ts';
import type { Settings } from './settings.ts';
import { type Store, Transaction } from './store.ts';

/** Where a session stands in its transaction, and what it would undo. */

/**
 * `single`: a statement, or a pipeline up to its Sync, that commits by itself. `implicit`: several statements
 * in one query. `block`: after BEGIN. `failed`: that, after an error.
 */
export type BlockState = 'none' | 'single' | 'implicit' | 'block' | 'failed';

interface Savepoint {
  name: string;
  rows: number;
  keys: number;
  settings: number;
}

export class Block {
  state: BlockState = 'none';
  #transaction: Transaction | null = null;
  #savepoints: Savepoint[] = [];
  #store: Store;
  #settings: Settings;
  readonly #pid: number;

  constructor(store: Store, settings: Settings, pid: number) {
    this.#store = store;
    this.#settings = settings;
    this.#pid = pid;
  }

  get status(): Status {
    if (this.state === 'failed') return 'E';
    return this.state === 'block' ? 'T' : 'I';
  }

  /** Whether a setting changed now would be undone should the transaction fail. */
  get isOpen(): boolean {
    return this.state !== 'none';
  }

  get transaction(): Transaction {
    this.#transaction ??= new Transaction(this.#pid);
    return this.#transaction;
  }

  /** For whom its transaction waits. */
  waitsFor(holder: Transaction | null): void {
    if (this.#transaction) this.#transaction.waitsFor = holder;
  }

  get hasWritten(): boolean {
    return this.#transaction !== null && this.#transaction.xid !== 0;
  }

  /** A statement begins. */
  enter(several: boolean): void {
    if (this.state === 'none') this.state = several ? 'implicit' : 'single';
  }

  committed(atMs: number): void {
    if (this.#transaction) this.#store.commit(this.#transaction, atMs, this.#settings.asynchronousCommit);
    this.#over(true);
  }

  rollback(): void {
    if (this.#transaction) this.#store.rollback(this.#transaction);
    this.#over(false);
  }

  #over(committed: boolean): void {
    this.#transaction = null;
    this.#savepoints.length = 0;
    this.state = 'none';
    this.#settings.endTransaction(committed);
  }

  /** A statement failed. What savepoints keep stays until the client says where to go back to. */
  fail(): void {
    if (this.state !== 'block' && this.state !== 'failed') return this.rollback();
    const last = this.#savepoints.at(-1);
    if (last) this.#undo(last);
    else {
      this.rollback();
    }
    this.state = 'failed';
  }

  #undo({ rows, keys, settings }: Savepoint): void {
    if (this.#transaction) this.#store.rollbackTo(this.#transaction, rows, keys);
    this.#settings.undoTo(settings);
  }

  savepoint(name: string): void {
    const { rows, keys } = this.#transaction ?? { rows: [], keys: [] };
    this.#savepoints.push({ name, rows: rows.length, keys: keys.length, settings: this.#settings.depth });
  }

  #find(name: string): number {
    const at = this.#savepoints.findLastIndex(each => each.name === name);
    if (at < 0) throw new SqlError('3B001', `savepoint "${name}" does not exist`);
    return at;
  }

  release(name: string): void {
    this.#savepoints.length = this.#find(name);
  }

  rollbackTo(name: string): void {
    const at = this.#find(name);
    this.#savepoints.length = at + 1;
    this.#undo(this.#savepoints[at]!);
    this.state = 'block';
  }
}
