import type { Block } from './block.ts';
import { SqlError, UnknownSqlError } from './errors.ts';
import type { Process } from './host.ts';
import { insertRow, noTable, planOf } from './insert.ts';
import { report } from './messages.ts';
import { describe, rowOf, sleepMs } from './select.ts';
import { runSet, setModes } from './set.ts';
import type { Settings } from './settings.ts';
import type { Insert, Modes, Statement } from './statement.ts';
import { deadlockError, isDeadlocked, type Transaction } from './store.ts';
import type { Value } from './values.ts';
import { Waits } from './waits.ts';

/** Runs one statement at a time, and waits where it must. */

export interface RunnerEvents {
  /** What it waited for has come: run the statement again, or go on after the commit. */
  woken(): void;
  failed(error: SqlError): void;
  /** DEALLOCATE and DISCARD ALL. null: all of them. */
  deallocate(name: string | null): void;
}

const canceled = (why: string): SqlError => new SqlError('57014', `canceling statement due to ${why}`);

export class Runner {
  /** The statement that ran was a COMMIT of something. */
  commits = false;
  /** By the simple protocol, whose rows come with their description. */
  describes = false;
  #backend: Process;
  #settings: Settings;
  #block: Block;
  #events: RunnerEvents;
  #waits: Waits;
  #startMs = 0;
  #slept = false;
  #row = 0;
  #inserted = 0;

  constructor(backend: Process, settings: Settings, block: Block, events: RunnerEvents) {
    this.#backend = backend;
    this.#settings = settings;
    this.#block = block;
    this.#events = events;
    this.#waits = new Waits(backend);
  }

  get isWaiting(): boolean {
    return this.#waits.kind !== null;
  }

  get isCommitting(): boolean {
    return this.#waits.kind === 'commit';
  }

  /** Before a statement's first `run`. */
  begin(): void {
    const backend = this.#backend;
    this.#startMs = backend.cursorMs;
    backend.cursorMs += backend.host.draw(backend.host.model.statementMs);
    this.commits = false;
    this.#slept = false;
    this.#row = 0;
    this.#inserted = 0;
  }

  /** Its command tag; null: it waits, and is to be run again when `woken`. */
  run(statement: Statement, given: readonly Value[], sql: string): string | null {
    switch (statement.kind) {
      case 'insert':
        return this.#insert(statement, given, sql);
      case 'begin':
        return this.#beginBlock(statement.tag, statement.modes);
      case 'commit':
        return this.#commitBlock();
      case 'rollback':
        return this.#rollbackBlock();
      case 'savepoint':
      case 'release':
      case 'rollbackTo':
        return this.#savepoint(statement.kind, statement.name);
      case 'select':
      case 'show':
      case 'types':
        return this.#select(statement, given);
      case 'touch':
        return this.#refuse(statement);
      case 'create':
        if (this.#backend.user!.superuser) throw new UnknownSqlError(sql, 'CREATE');
        throw new SqlError('42501', 'permission denied for schema public');
      default:
        return this.#set(statement);
    }
  }

  #set(statement: Statement): string {
    return runSet(statement, {
      settings: this.#settings,
      block: this.#block,
      warn: (sqlState, text) => this.#warn(sqlState, text),
      deallocate: this.#events.deallocate,
    });
  }

  #warn(sqlState: string, text: string): void {
    if (!this.#settings.quiet) this.#backend.wire.put(report('WARNING', sqlState, text));
  }

  #insert(insert: Insert, given: readonly Value[], sql: string): string | null {
    const { store } = this.#backend.host;
    const plan = planOf(insert, store, sql);
    if (insert.reads) return this.#refuse({ table: insert.table, text: sql });
    if (this.#settings.readOnly)
      throw new SqlError('25006', 'cannot execute INSERT in a read-only transaction');
    const { transaction } = this.#block;
    while (this.#row < insert.rows.length) {
      const count = insertRow(insert, plan, this.#row, given, transaction, store);
      if (typeof count !== 'number') return this.#waitForLock(transaction, count);
      this.#inserted += count;
      this.#row += 1;
    }
    return this.#inserted === 1 ? 'INSERT 0 1' : `INSERT 0 ${this.#inserted}`;
  }

  /** What the app is not granted. A superuser could, in a real server. */
  #refuse({ table, text }: { table: string; text: string }): never {
    if (this.#backend.user!.superuser) throw new UnknownSqlError(text, 'reading or changing a table');
    if (!this.#backend.host.store.tables.has(table)) throw noTable(table);
    throw new SqlError('42501', `permission denied for table ${table}`);
  }

  #select(statement: Statement, given: readonly Value[]): string | null {
    const ms = sleepMs(statement, given);
    if (ms > 0 && !this.#slept) return this.#sleep(ms);
    const { wire } = this.#backend;
    const description = describe(statement)!;
    const row = rowOf(statement, given, {
      backend: this.#backend,
      settings: this.#settings,
      block: this.#block,
    });
    if (this.describes) wire.put(description);
    if (row) wire.put(row);
    if (statement.kind === 'show') return 'SHOW';
    return row ? 'SELECT 1' : 'SELECT 0';
  }

  // Transactions.

  #beginBlock(tag: string, modes: Modes): string {
    if (this.#block.state === 'block') this.#warn('25001', 'there is already a transaction in progress');
    this.#block.state = 'block';
    setModes(this.#settings, modes, '', true);
    return tag;
  }

  #commitBlock(): string {
    const { state } = this.#block;
    if (state === 'failed') {
      this.#block.rollback();
      return 'ROLLBACK';
    }
    if (state !== 'block') this.#warn('25P01', 'there is no transaction in progress');
    this.commits = true;
    return 'COMMIT';
  }

  #rollbackBlock(): string {
    const { state } = this.#block;
    if (state !== 'block' && state !== 'failed') this.#warn('25P01', 'there is no transaction in progress');
    this.#block.rollback();
    return 'ROLLBACK';
  }

  #savepoint(kind: 'savepoint' | 'release' | 'rollbackTo', name: string): string {
    const tag = { savepoint: 'SAVEPOINT', release: 'RELEASE', rollbackTo: 'ROLLBACK' }[kind];
    const words = {
      savepoint: 'SAVEPOINT',
      release: 'RELEASE SAVEPOINT',
      rollbackTo: 'ROLLBACK TO SAVEPOINT',
    };
    if (this.#block.state !== 'block' && this.#block.state !== 'failed')
      throw new SqlError('25P01', `${words[kind]} can only be used in transaction blocks`);
    this.#block[kind](name);
    return tag;
  }

  /** Makes it durable, then visible. true: there was nothing to wait for. */
  commit(): boolean {
    const { host } = this.#backend;
    if (!this.#block.hasWritten) {
      this.#block.committed(host.nowMs);
      return true;
    }
    // One that does not wait for its flush is as quick as any statement.
    if (!this.#settings.asynchronousCommit) this.#backend.cursorMs += host.draw(host.model.commitMs);
    this.#waits.start('commit');
    this.#waits.at(this.#backend.cursorMs, () => {
      this.#block.committed(host.nowMs);
      this.#wake();
    });
    return false;
  }

  // Waits.

  #end(): void {
    this.#waits.end();
    this.#block.waitsFor(null);
  }

  #wake(): void {
    const backend = this.#backend;
    const committed = this.isCommitting;
    this.#end();
    if (committed) {
      backend.cursorMs += backend.host.draw(backend.host.model.commitAnswerMs);
      backend.answeringUntilMs = backend.cursorMs;
    }
    this.#events.woken();
  }

  #fail(error: SqlError): void {
    this.#end();
    this.#events.failed(error);
  }

  #limitStatement(): void {
    const { statementTimeoutMs } = this.#settings;
    if (statementTimeoutMs > 0)
      this.#waits.at(this.#startMs + statementTimeoutMs, () => this.#fail(canceled('statement timeout')));
  }

  #sleep(ms: number): null {
    this.#waits.start('sleep');
    this.#waits.at(this.#backend.cursorMs + ms, () => {
      this.#slept = true;
      this.#wake();
    });
    this.#limitStatement();
    return null;
  }

  /** Until whoever holds the key has ended; then the row is tried again. */
  #waitForLock(own: Transaction, holder: Transaction): null {
    const { host, cursorMs } = this.#backend;
    const isSame = this.#waits.start('lock');
    this.#block.waitsFor(holder);
    holder.waiters.push(() => {
      if (isSame()) this.#waits.at(host.nowMs, () => this.#wake());
    });
    const { lockTimeoutMs } = this.#settings;
    this.#waits.at(cursorMs + host.deadlockTimeoutMs, () => {
      if (isDeadlocked(own)) this.#fail(deadlockError(own, holder));
    });
    if (lockTimeoutMs > 0)
      this.#waits.at(cursorMs + lockTimeoutMs, () =>
        this.#fail(new SqlError('55P03', 'canceling statement due to lock timeout')),
      );
    this.#limitStatement();
    return null;
  }

  /** CancelRequest. A commit can no longer be cancelled. */
  cancel(): void {
    if (this.isWaiting && !this.isCommitting) this.#fail(canceled('user request'));
  }

  /**
   * The process is killed in the middle. Of a commit the log record is written first and flushed then, and what was
   * written is found again at the next start: the transaction is committed, and nobody was told.
   */
  kill(): void {
    if (this.isCommitting) this.#block.committed(this.#backend.host.nowMs);
    this.leave();
  }

  /** The session is over. */
  leave(): void {
    this.#end();
    this.#block.rollback();
  }
}
