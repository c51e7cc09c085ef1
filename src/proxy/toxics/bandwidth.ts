import type { Clock } from '../../clock.ts';
import { DueQueue } from '../due-queue.ts';
import type { Next, Stage, Toxic } from './toxic.ts';

type BandwidthAttributes = { rate: number };

/** A chunk that takes longer goes on in pieces of this time. */
const pieceMs = 100;

/**
 * At most `rate` KB/s (1 KB is 1000 bytes) in this direction, each connection by itself. Rate 0 lets nothing pass and
 * loses nothing: what came meanwhile goes on when the rate changes or the toxic leaves.
 */
export const bandwidth: Toxic<BandwidthAttributes> = {
  type: 'bandwidth',
  attributes: { rate: { kind: 'integer', default: 0, min: 0, unit: 'KB/s' } },
  stage: (next, attributes, { clock }) => new BandwidthStage(next, attributes, clock),
};

class BandwidthStage implements Stage<BandwidthAttributes> {
  readonly #queue: DueQueue;
  readonly #clock: Clock;
  #rate: number;
  /** When the wire has sent all it was given. */
  #freeMs = 0;

  constructor(next: Next, { rate }: BandwidthAttributes, clock: Clock) {
    this.#queue = new DueQueue(next, clock);
    this.#clock = clock;
    this.#rate = rate;
  }

  get heldBytes(): number {
    return this.#queue.heldBytes;
  }

  push(chunk: Buffer): void {
    this.#add(chunk, this.#clock.nowMs());
  }

  end(): void {
    this.#queue.end();
  }

  update({ rate }: BandwidthAttributes): void {
    this.#rate = rate;
    this.#freeMs = 0;
    this.#queue.again((chunk, arrivedMs) => this.#add(chunk, arrivedMs));
  }

  flush(): void {
    this.#queue.flush();
  }

  close(): void {
    this.#queue.close();
  }

  #add(chunk: Buffer, arrivedMs: number): void {
    if (this.#rate === 0) return this.#queue.add(chunk, Number.POSITIVE_INFINITY, arrivedMs);
    // From the time the wire is free, not from when a timer fired: their lateness does not add up.
    this.#freeMs = Math.max(this.#freeMs, this.#clock.nowMs());
    const pieceBytes = this.#rate * pieceMs;
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      const piece = chunk.subarray(at, at + pieceBytes);
      this.#freeMs += piece.length / this.#rate;
      this.#queue.add(piece, this.#freeMs, arrivedMs);
    }
  }
}
