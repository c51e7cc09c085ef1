import type { Random } from '../../random.ts';
import { type Kind, later, type Path } from './packet.ts';
import type { Delay, Direction } from './toxics.ts';

/** The latency toxics as one lane meets them, with draws of its own. */
export class Delays {
  readonly #delays: Delay[];
  readonly #onWire: boolean;
  readonly #draws: () => Random;
  #random: Random | null = null;

  constructor({ delays, kind }: Path, direction: Direction, random: Random) {
    this.#delays = delays[direction];
    this.#onWire = kind === 'packet';
    this.#draws = () => random.fork('jitter', direction);
  }

  /** The proxy delays chunks, and an end follows the last one; on a wire everything is delayed. */
  holds(kind: Kind): boolean {
    return this.#delays.length > 0 && (kind === 'data' || this.#onWire);
  }

  /** When what comes at `ms` goes on. */
  all(ms: number): number {
    let onMs = ms;
    for (const delay of this.#delays) onMs = this.by(delay, onMs);
    return onMs;
  }

  /** As the real toxic, negative times are none. */
  by({ latencyMs, jitterMs }: Delay, ms: number): number {
    if (jitterMs <= 0) return later(ms + latencyMs, ms);
    this.#random ??= this.#draws();
    return later(ms + latencyMs + (2 * this.#random.next() - 1) * jitterMs, ms);
  }
}
