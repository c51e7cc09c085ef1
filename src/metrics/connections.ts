import type { Attempt, Conn, LedgerRecord } from '../ledger/record.ts';
import { bytes, ints, RowIndex, times } from './columns.ts';
import type { Life, Lives } from './lives.ts';

/** Every connection and every lease of a trial, in columns. NaN: it did not happen. */
export class ConnectionTable {
  readonly life = ints();
  readonly conn = ints();
  readonly openingMs = times();
  readonly openMs = times();
  readonly closeMs = times();
  /** -1: unknown. */
  readonly localPort = ints();
  readonly lastLease = ints();
  readonly leases = new LeaseTable();
  opened = 0;
  closed = 0;
  #tellsBorrows = bytes();
  #byLife = new Map<number, RowIndex>();
  #lives: Lives;

  constructor(lives: Lives) {
    this.#lives = lives;
  }

  get length(): number {
    return this.life.length;
  }

  add({ worker, life, conn, ev, atMs, localPort, i }: LedgerRecord & Conn): void {
    const at = this.#rowOf(this.#lives.of(worker, life), conn);
    if (localPort !== null) this.localPort.set(at, localPort);
    if (ev === 'opening') this.openingMs.set(at, atMs);
    else if (ev === 'open') this.#open(at, atMs);
    else if (ev === 'borrow') this.#told(at, atMs, i);
    else if (ev === 'release') this.#giveBack(at, atMs);
    else this.#close(at, atMs);
  }

  find(life: Life, conn: number): number | undefined {
    return this.#byLife.get(life.row)?.get(conn);
  }

  lifeOf(at: number): Life {
    return this.#lives.all[this.life.get(at)] as Life;
  }

  /** When it began to take up a slot; NaN: its worker never told of it. */
  startMs(at: number): number {
    const openingMs = this.openingMs.get(at);
    return Number.isNaN(openingMs) ? this.openMs.get(at) : openingMs;
  }

  /** When it was gone for its worker: closed, or the worker dead; Infinity: never. */
  endMs(at: number): number {
    const closeMs = this.closeMs.get(at);
    return Number.isNaN(closeMs) ? this.lifeOf(at).endMs : closeMs;
  }

  /** When a lease was over, whoever ended it. */
  leaseEndMs(lease: number): number {
    const releaseMs = this.leases.releaseMs.get(lease);
    return Number.isNaN(releaseMs) ? this.endMs(this.leases.connection.get(lease)) : releaseMs;
  }

  /**
   * The lease an attempt ran on: of its connection's leases, the one borrowed nearest to `acquiredAt`.
   * Looked for from the newest, since a submit settles soon after its lease. null: nothing was acquired.
   */
  leaseOf(life: Life, attempt: Attempt, line: number): number | null {
    if (attempt.acquiredAt === null) return null;
    const at = attempt.conn === null ? undefined : this.find(life, attempt.conn);
    if (at === undefined) return this.#supposed(life, attempt, line);
    if (attempt.releasedAt !== undefined) return this.#toldBy(at, attempt, line);
    let best = this.lastLease.get(at);
    if (this.#tellsBorrows.get(at) === 0) return this.#opensFor(at, attempt, line);
    const distance = (lease: number) =>
      Math.abs(this.leases.borrowMs.get(lease) - (attempt.acquiredAt as number));
    for (let older = this.leases.previous.get(best); older >= 0; older = this.leases.previous.get(best)) {
      if (distance(older) >= distance(best)) break;
      best = older;
    }
    return best;
  }

  /** The attempt says itself from when to when. A retry settles after others had its first connection. */
  #toldBy(at: number, { acquiredAt, releasedAt }: Attempt, line: number): number {
    const lease = this.#borrow(at, acquiredAt as number, line);
    if (releasedAt !== null && releasedAt !== undefined) this.leases.releaseMs.set(lease, releasedAt);
    return lease;
  }

  /**
   * Nothing is told of borrows. What was opened for this attempt is its own until it is closed or used
   * again; what was there before is given back at the attempt's end.
   */
  #opensFor(at: number, { startedAt, acquiredAt, endedAt }: Attempt, line: number): number {
    const lease = this.#borrow(at, acquiredAt as number, line);
    if (!(this.startMs(at) >= startedAt) && endedAt !== null) this.#giveBack(at, endedAt);
    return lease;
  }

  /** The worker tells of no connections: one of its own for each attempt, given back at its end. */
  #supposed(life: Life, { acquiredAt, endedAt }: Attempt, line: number): number {
    const at = this.#rowOf(life, -1 - this.length);
    const lease = this.#borrow(at, acquiredAt as number, line);
    if (endedAt !== null) this.#giveBack(at, endedAt);
    return lease;
  }

  #rowOf(life: Life, conn: number): number {
    let index = this.#byLife.get(life.row);
    if (!index) {
      index = new RowIndex();
      this.#byLife.set(life.row, index);
    }
    const known = index.get(conn);
    if (known !== undefined) return known;
    const at = this.life.push(life.row);
    this.conn.push(conn);
    this.#tellsBorrows.push(0);
    for (const column of [this.openingMs, this.openMs, this.closeMs]) column.push(Number.NaN);
    for (const column of [this.localPort, this.lastLease]) column.push(-1);
    index.set(conn, at);
    return at;
  }

  #open(at: number, atMs: number): void {
    this.opened += 1;
    this.openMs.set(at, atMs);
  }

  #told(at: number, atMs: number, line: number): void {
    this.#tellsBorrows.set(at, 1);
    this.#borrow(at, atMs, line);
  }

  #borrow(at: number, atMs: number, line: number): number {
    const { leases } = this;
    let before = this.lastLease.get(at);
    let after = -1;
    while (before >= 0 && leases.borrowMs.get(before) > atMs) {
      after = before;
      before = leases.previous.get(before);
    }
    this.#over(before, atMs);
    const lease = leases.add(at, atMs, before, line);
    if (after < 0) this.lastLease.set(at, lease);
    else leases.previous.set(after, lease);
    return lease;
  }

  #giveBack(at: number, atMs: number): void {
    this.#over(this.lastLease.get(at), atMs);
  }

  #over(lease: number, atMs: number): void {
    if (lease >= 0 && Number.isNaN(this.leases.releaseMs.get(lease))) this.leases.releaseMs.set(lease, atMs);
  }

  #close(at: number, atMs: number): void {
    if (!Number.isNaN(this.closeMs.get(at))) return;
    // What never opened (refused, timed out) has nothing to close.
    if (!Number.isNaN(this.openMs.get(at))) this.closed += 1;
    this.closeMs.set(at, atMs);
    this.#giveBack(at, atMs);
  }
}

/** From borrow to release of one connection, by one attempt. */
class LeaseTable {
  readonly connection = ints();
  readonly borrowMs = times();
  readonly releaseMs = times();
  readonly previous = ints();
  /** Row of the submit that borrowed it; -1: unknown (its worker died before it could say). */
  readonly submit = ints();
  readonly line = ints();

  get length(): number {
    return this.connection.length;
  }

  add(connection: number, borrowMs: number, previous: number, line: number): number {
    this.borrowMs.push(borrowMs);
    this.releaseMs.push(Number.NaN);
    this.previous.push(previous);
    this.submit.push(-1);
    this.line.push(line);
    return this.connection.push(connection);
  }
}
