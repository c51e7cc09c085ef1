import type { Connection, QueryResult } from 'mysql2';
import type { Lease, QueryAnswer } from '../pool.ts';
import { ask } from './client.ts';

/** Connections whose lock timeout is not the server's own any more. */
const lockTimed = new WeakSet<Connection>();

/** A lease on a connection; how it is given back is the pool's affair. */
export class MysqlLease implements Lease {
  readonly conn: number;
  readonly release: Lease['release'];
  #connection: Connection;
  #statementTimeoutMs: number | null;
  #inTransaction = false;

  /**
   * `statementTimeoutMs`: the driver's `timeout` of a query, which is what its users have: MySQL limits SELECT
   * alone. It ends the waiting and not the statement: what follows on the connection waits behind it.
   */
  constructor(
    connection: Connection,
    conn: number,
    statementTimeoutMs: number | null,
    release: Lease['release'],
  ) {
    this.#connection = connection;
    this.conn = conn;
    this.#statementTimeoutMs = statementTimeoutMs;
    this.release = release;
  }

  query(sql: string, params: readonly unknown[] = []): Promise<QueryAnswer> {
    if (this.#inTransaction || !lockTimed.has(this.#connection)) return this.#say(sql, params);
    return this.#setLockTimeout().then(() => this.#say(sql, params));
  }

  /**
   * The servers know no lock timeout of one transaction: it is the session's, in whole seconds, and taken back
   * before the first statement after the transaction, lest an answered COMMIT fail for it.
   */
  async begin(lockTimeoutMs?: number): Promise<QueryAnswer> {
    if (lockTimeoutMs !== undefined || lockTimed.has(this.#connection))
      await this.#setLockTimeout(lockTimeoutMs);
    this.#inTransaction = true;
    return this.#say('BEGIN');
  }

  commit(): Promise<QueryAnswer> {
    this.#inTransaction = false;
    return this.#say('COMMIT');
  }

  rollback(): Promise<QueryAnswer> {
    this.#inTransaction = false;
    return this.#say('ROLLBACK');
  }

  async #setLockTimeout(lockTimeoutMs?: number): Promise<void> {
    const seconds = lockTimeoutMs === undefined ? 'DEFAULT' : Math.max(1, Math.ceil(lockTimeoutMs / 1000));
    if (lockTimeoutMs !== undefined) lockTimed.add(this.#connection);
    await this.#say(`SET SESSION innodb_lock_wait_timeout = ${seconds}`);
    if (lockTimeoutMs === undefined) lockTimed.delete(this.#connection);
  }

  async #say(sql: string, params: readonly unknown[] = []): Promise<QueryAnswer> {
    const result = await ask(this.#connection, sql, params as unknown[], this.#statementTimeoutMs);
    return { tag: verb(sql), rowCount: rowCountOf(result) };
  }
}

/** An OK packet has no tag: what was asked for is what was done. A COMMIT that was none is answered with OK, too. */
const verb = (sql: string): string => (/\w+/.exec(sql)?.[0] ?? '').toUpperCase();

const rowCountOf = (result: QueryResult): number =>
  Array.isArray(result) ? result.length : result.affectedRows;
