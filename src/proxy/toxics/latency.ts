import { DueQueue } from '../due-queue.ts';
import { msMax, type Next, type Stage, type Tools, type Toxic } from './toxic.ts';

type LatencyAttributes = { latency: number; jitter: number };

/** Every chunk goes on `latency` +- `jitter` ms after it came, never before one that came earlier. */
export const latency: Toxic<LatencyAttributes> = {
  type: 'latency',
  // Toxiproxy takes negative times and treats them as none.
  attributes: {
    latency: { kind: 'integer', default: 0, max: msMax, unit: 'ms' },
    jitter: { kind: 'integer', default: 0, max: msMax, unit: 'ms' },
  },
  stage: (next, attributes, tools) => new LatencyStage(next, attributes, tools),
};

class LatencyStage implements Stage<LatencyAttributes> {
  readonly #queue: DueQueue;
  readonly #tools: Tools;
  #attributes: LatencyAttributes;

  constructor(next: Next, attributes: LatencyAttributes, tools: Tools) {
    this.#queue = new DueQueue(next, tools.clock);
    this.#attributes = attributes;
    this.#tools = tools;
  }

  get heldBytes(): number {
    return this.#queue.heldBytes;
  }

  push(chunk: Buffer): void {
    this.#add(chunk, this.#tools.clock.nowMs());
  }

  end(): void {
    this.#queue.end();
  }

  update(attributes: LatencyAttributes): void {
    this.#attributes = attributes;
    this.#queue.again((chunk, arrivedMs) => this.#add(chunk, arrivedMs));
  }

  flush(): void {
    this.#queue.flush();
  }

  close(): void {
    this.#queue.close();
  }

  #add(chunk: Buffer, arrivedMs: number): void {
    const { latency, jitter } = this.#attributes;
    const swing = jitter > 0 ? (2 * this.#tools.random.next() - 1) * jitter : 0;
    this.#queue.add(chunk, arrivedMs + latency + swing, arrivedMs);
  }
}
