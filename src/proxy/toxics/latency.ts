import { chunkOverheadBytes, msMax, type Next, type Stage, type Tools, type Toxic } from './toxic.ts';

type LatencyAttributes = { latency: number; jitter: number };

interface Held {
  chunk: Buffer;
  arrivedMs: number;
  dueMs: number;
}

/** Every chunk goes on `latency` +- `jitter` ms after it came, never before one that came earlier. */
export const latency: Toxic<LatencyAttributes> = {
  type: 'latency',
  // Toxiproxy takes negative times and treats them as none.
  attributes: {
    latency: { kind: 'integer', default: 0, max: msMax },
    jitter: { kind: 'integer', default: 0, max: msMax },
  },
  stage: (next, attributes, tools) => new LatencyStage(next, attributes, tools),
};

class LatencyStage implements Stage<LatencyAttributes> {
  readonly #next: Next;
  readonly #tools: Tools;
  #attributes: LatencyAttributes;
  #queue: Held[] = [];
  #ending = false;
  #cancel: (() => void) | null = null;
  heldBytes = 0;

  constructor(next: Next, attributes: LatencyAttributes, tools: Tools) {
    this.#next = next;
    this.#attributes = attributes;
    this.#tools = tools;
  }

  push(chunk: Buffer): void {
    const arrivedMs = this.#tools.clock.nowMs();
    this.#queue.push({ chunk, arrivedMs, dueMs: this.#dueMs(arrivedMs, this.#queue.at(-1)) });
    this.heldBytes += chunk.length + chunkOverheadBytes;
    if (this.#cancel === null) this.#arm();
  }

  /** As in Toxiproxy the end is not delayed itself: it follows the last chunk. */
  end(): void {
    if (this.#queue.length === 0) this.#next.end();
    else this.#ending = true;
  }

  update(attributes: LatencyAttributes): void {
    this.#attributes = attributes;
    let before: Held | undefined;
    for (const held of this.#queue) {
      held.dueMs = this.#dueMs(held.arrivedMs, before);
      before = held;
    }
    this.#arm();
  }

  flush(): void {
    this.#release(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#queue = [];
    this.#ending = false;
    this.heldBytes = 0;
  }

  #dueMs(arrivedMs: number, before: Held | undefined): number {
    const { latency, jitter } = this.#attributes;
    const swing = jitter > 0 ? (2 * this.#tools.random.next() - 1) * jitter : 0;
    return Math.max(arrivedMs + latency + swing, before?.dueMs ?? 0);
  }

  #arm(): void {
    this.#cancel?.();
    this.#cancel = null;
    const head = this.#queue[0];
    if (head === undefined) return;
    const { clock } = this.#tools;
    // Node's timers count whole ms from a clock that lags: the due time is looked at again when one fires.
    this.#cancel = clock.after(Math.max(0, Math.ceil(head.dueMs - clock.nowMs())), () => {
      this.#release(clock.nowMs());
    });
  }

  #release(nowMs: number): void {
    while (this.#queue.length > 0 && this.#queue[0]!.dueMs <= nowMs) {
      const { chunk } = this.#queue.shift()!;
      this.heldBytes -= chunk.length + chunkOverheadBytes;
      this.#next.push(chunk);
    }
    this.#arm();
    if (this.#ending && this.#queue.length === 0) {
      this.#ending = false;
      this.#next.end();
    }
  }
}
