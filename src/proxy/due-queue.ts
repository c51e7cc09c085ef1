import type { Clock } from '../clock.ts';
import { chunkOverheadBytes, msMax, type Next } from './toxics/toxic.ts';

interface Held {
  chunk: Buffer;
  arrivedMs: number;
  dueMs: number;
}

/** Spent entries at the front are dropped in one go, not shifted one by one: slices are many. */
const spentMax = 1024;

/** Chunks that wait for their time, first in, first out: what latency, bandwidth and slicer are made of. */
export class DueQueue {
  readonly #next: Next;
  readonly #clock: Clock;
  #queue: Held[] = [];
  #head = 0;
  #ending = false;
  #cancel: (() => void) | null = null;
  heldBytes = 0;

  constructor(next: Next, clock: Clock) {
    this.#next = next;
    this.#clock = clock;
  }

  /** Goes on at `dueMs` of the clock, never before what was added earlier. Infinity: not before it is flushed. */
  add(chunk: Buffer, dueMs: number, arrivedMs = this.#clock.nowMs()): void {
    const before = this.#queue.at(-1)?.dueMs ?? Number.NEGATIVE_INFINITY;
    this.#queue.push({ chunk, arrivedMs, dueMs: Math.max(dueMs, before) });
    this.heldBytes += chunk.length + chunkOverheadBytes;
    if (this.#cancel === null) this.#arm();
  }

  /** The end is not delayed itself: it follows the last chunk. */
  end(): void {
    if (this.#head === this.#queue.length) this.#next.end();
    else this.#ending = true;
  }

  /** Everything held is added anew, by `add`, in order. */
  again(add: (chunk: Buffer, arrivedMs: number) => void): void {
    const held = this.#queue.slice(this.#head);
    this.#empty();
    for (const { chunk, arrivedMs } of held) add(chunk, arrivedMs);
  }

  flush(): void {
    this.#release(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#empty();
    this.#ending = false;
  }

  #empty(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#queue = [];
    this.#head = 0;
    this.heldBytes = 0;
  }

  #arm(): void {
    this.#cancel?.();
    this.#cancel = null;
    const head = this.#queue[this.#head];
    if (head === undefined || head.dueMs === Number.POSITIVE_INFINITY) return;
    // Node's timers count whole ms from a clock that lags: the due time is looked at again when one fires.
    const waitMs = Math.min(msMax, Math.max(0, Math.ceil(head.dueMs - this.#clock.nowMs())));
    this.#cancel = this.#clock.after(waitMs, () => this.#release(this.#clock.nowMs()));
  }

  /** What comes next may close this queue at any push. */
  #release(nowMs: number): void {
    while (this.#head < this.#queue.length && this.#queue[this.#head]!.dueMs <= nowMs) {
      const { chunk } = this.#queue[this.#head]!;
      this.#head += 1;
      this.heldBytes -= chunk.length + chunkOverheadBytes;
      if (this.#head === this.#queue.length || this.#head === spentMax) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
      this.#next.push(chunk);
    }
    this.#arm();
    if (this.#ending && this.#queue.length === 0) {
      this.#ending = false;
      this.#next.end();
    }
  }
}
