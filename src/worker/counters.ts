import { type Clock, round3 } from '../clock.ts';
import type { GaugeFacts } from '../ledger/record.ts';

type Counted = Pick<GaugeFacts, 'waiting' | 'acquired' | 'since' | 'counters'>;

/** What happened around the pool, counted as it happens, so that nothing between two samples is missed. */
export class Counters {
  #clock: Clock;
  /** By ticket, in the order they began: since when. */
  #waits = new Map<number, number>();
  #acquired = 0;
  #waitingMax = 0;
  #acquiredMax = 0;
  #oldestWaitMs = 0;
  #all = { acquires: 0, acquireTimeouts: 0, opened: 0, closed: 0, destroyed: 0, leases: 0 };

  #acquireTimeoutMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From here on a failed acquire that waited this long counts as timed out. null: none does. */
  bound(acquireTimeoutMs: number | null): void {
    // Timers may fire a hair early.
    this.#acquireTimeoutMs = acquireTimeoutMs === null ? Number.POSITIVE_INFINITY : acquireTimeoutMs - 1;
  }

  /** A call to acquire begins to wait; hand the ticket to `waited` when it has ended. */
  waiting(): number {
    this.#all.acquires += 1;
    const ticket = this.#all.acquires;
    this.#waits.set(ticket, this.#clock.nowMs());
    this.#waitingMax = Math.max(this.#waitingMax, this.#waits.size);
    return ticket;
  }

  waited(ticket: number, acquired: boolean): void {
    const waitedMs = this.#clock.nowMs() - (this.#waits.get(ticket) ?? 0);
    this.#waits.delete(ticket);
    this.#oldestWaitMs = Math.max(this.#oldestWaitMs, waitedMs);
    if (!acquired && waitedMs >= this.#acquireTimeoutMs) this.#all.acquireTimeouts += 1;
  }

  /**
   * Submits queue for connections: there may be thousands a second. Each write wakes the harness, and one
   * for each settled would cost as much as the submit; with a few ms of company it costs next to nothing.
   */
  get backlogged(): boolean {
    return this.#waits.size > 0;
  }

  leased(): void {
    this.#acquired += 1;
    this.#all.leases += 1;
    this.#acquiredMax = Math.max(this.#acquiredMax, this.#acquired);
  }

  released(broken: boolean): void {
    this.#acquired -= 1;
    if (broken) this.#all.destroyed += 1;
  }

  conn({ ev }: { ev: string }): void {
    if (ev === 'open') this.#all.opened += 1;
    if (ev === 'close') this.#all.closed += 1;
  }

  read(): Counted {
    const now = this.#clock.nowMs();
    const [oldest = now] = this.#waits.values();
    const since = {
      waitingMax: this.#waitingMax,
      acquiredMax: this.#acquiredMax,
      oldestWaitMs: round3(Math.max(this.#oldestWaitMs, now - oldest)),
    };
    this.#waitingMax = this.#waits.size;
    this.#acquiredMax = this.#acquired;
    this.#oldestWaitMs = 0;
    return { waiting: this.#waits.size, acquired: this.#acquired, since, counters: { ...this.#all } };
  }
}
