import type { Clock } from '../clock.ts';
import type { SlotToxic } from './protocol.ts';
import type { KillHow, Slot } from './slot.ts';

/** What the embedded proxy calls this toxic; a stock Toxiproxy has none of the kind. */
export const idleType = 'idle_timeout';

interface Limit {
  name: string;
  timeoutMs: number;
  how: KillHow;
  giveUpMs: number;
}

const limitOf = ({ name, attributes }: SlotToxic): Limit => {
  const { timeout, how, giveUp } = attributes as { timeout: number; how: KillHow; giveUp: number };
  return { name, timeoutMs: timeout, how, giveUpMs: giveUp };
};

/** The idle limits there are, and their timers on every open connection. */
export class IdleLimits {
  readonly #clock: Clock;
  readonly #limits = new Map<string, Limit>();
  /** By limit, what stops its timer. */
  readonly #open = new Map<Slot, Map<string, () => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(toxic: SlotToxic): void {
    if (this.#limits.has(toxic.name)) throw new Error('toxic already exists');
    const limit = limitOf(toxic);
    this.#limits.set(limit.name, limit);
    for (const slot of this.#open.keys()) this.#watch(slot, limit);
  }

  /** Whether there was one. */
  remove(name: string): boolean {
    for (const stops of this.#open.values()) {
      stops.get(name)?.();
      stops.delete(name);
    }
    return this.#limits.delete(name);
  }

  opened(slot: Slot): void {
    this.#open.set(slot, new Map());
    for (const limit of this.#limits.values()) this.#watch(slot, limit);
  }

  closed(slot: Slot): void {
    for (const stop of this.#open.get(slot)?.values() ?? []) stop();
    this.#open.delete(slot);
  }

  /** One timer per connection, set anew only when it fires: traffic costs nothing but its time stamp. */
  #watch(slot: Slot, { name, timeoutMs, how, giveUpMs }: Limit): void {
    const leftMs = () => slot.lastActivityMs + timeoutMs - this.#clock.nowMs();
    const look = () => {
      if (leftMs() > 0) arm();
      else void slot.kill(name, how, giveUpMs);
    };
    const arm = () => {
      const stop = this.#clock.after(Math.max(0, Math.ceil(leftMs())), look);
      this.#open.get(slot)?.set(name, stop);
    };
    arm();
  }
}
