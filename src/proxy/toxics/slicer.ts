import { DueQueue } from '../due-queue.ts';
import type { Next, Stage, Tools, Toxic } from './toxic.ts';

type SlicerAttributes = { average_size: number; size_variation: number; delay: number };

/**
 * Cuts every chunk into slices of about `average_size` bytes, give or take `size_variation`, and waits `delay`
 * microseconds after each.
 */
export const slicer: Toxic<SlicerAttributes> = {
  type: 'slicer',
  attributes: {
    // Toxiproxy takes 0 and then recurses until its stack is full.
    average_size: { kind: 'integer', default: 0, min: 1, unit: 'bytes' },
    size_variation: { kind: 'integer', default: 0, min: 0, unit: 'bytes' },
    delay: { kind: 'integer', default: 0, min: 0, unit: 'µs' },
  },
  stage: (next, attributes, tools) => new SlicerStage(next, attributes, tools),
};

class SlicerStage implements Stage<SlicerAttributes> {
  readonly #queue: DueQueue;
  readonly #tools: Tools;
  #attributes: SlicerAttributes;
  #freeMs = 0;

  constructor(next: Next, attributes: SlicerAttributes, tools: Tools) {
    this.#queue = new DueQueue(next, tools.clock);
    this.#tools = tools;
    this.#attributes = attributes;
  }

  get heldBytes(): number {
    return this.#queue.heldBytes;
  }

  push(chunk: Buffer): void {
    this.#add(chunk);
  }

  end(): void {
    this.#queue.end();
  }

  update(attributes: SlicerAttributes): void {
    this.#attributes = attributes;
    this.#freeMs = 0;
    this.#queue.again(chunk => this.#add(chunk));
  }

  flush(): void {
    this.#queue.flush();
  }

  close(): void {
    this.#queue.close();
  }

  #add(chunk: Buffer): void {
    this.#freeMs = Math.max(this.#freeMs, this.#tools.clock.nowMs());
    for (const slice of this.#slices(chunk)) {
      this.#queue.add(slice, this.#freeMs);
      this.#freeMs += this.#attributes.delay / 1000;
    }
  }

  /** Halves a chunk, not quite in the middle, until its parts are small enough: no runt at either end. */
  #slices(chunk: Buffer): Buffer[] {
    const { average_size: average, size_variation: given } = this.#attributes;
    // A variation above the average could cut outside the chunk.
    const variation = Math.min(given, average - 1);
    if (chunk.length - average <= variation) return [chunk];
    const swing = variation > 0 ? Math.floor(this.#tools.random.next() * variation * 2) - variation : 0;
    const middle = Math.floor(chunk.length / 2) + swing;
    return [...this.#slices(chunk.subarray(0, middle)), ...this.#slices(chunk.subarray(middle))];
  }
}
