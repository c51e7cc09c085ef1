import type { Clock } from '../../clock.ts';
import { msMax, type Next, type Stage, type Toxic } from './toxic.ts';

type SlowCloseAttributes = { delay: number };

/** The end of this direction, FIN or reset, goes on `delay` ms after it came. */
export const slowClose: Toxic<SlowCloseAttributes> = {
  type: 'slow_close',
  attributes: { delay: { kind: 'integer', default: 0, max: msMax, unit: 'ms' } },
  stage: (next, attributes, { clock }) => new SlowCloseStage(next, attributes, clock),
};

class SlowCloseStage implements Stage<SlowCloseAttributes> {
  readonly #next: Next;
  readonly #clock: Clock;
  #delayMs: number;
  #endedMs: number | null = null;
  #cancel = () => {};
  readonly heldBytes = 0;

  constructor(next: Next, { delay }: SlowCloseAttributes, clock: Clock) {
    this.#next = next;
    this.#clock = clock;
    this.#delayMs = delay;
  }

  push(chunk: Buffer): void {
    this.#next.push(chunk);
  }

  end(): void {
    this.#endedMs = this.#clock.nowMs();
    this.#arm();
  }

  update({ delay }: SlowCloseAttributes): void {
    this.#delayMs = delay;
    if (this.#endedMs !== null) this.#arm();
  }

  flush(): void {
    if (this.#endedMs === null) return;
    this.close();
    this.#next.end();
  }

  close(): void {
    this.#cancel();
    this.#endedMs = null;
  }

  #arm(): void {
    this.#cancel();
    const leftMs = this.#endedMs! + this.#delayMs - this.#clock.nowMs();
    this.#cancel = this.#clock.after(Math.max(0, Math.ceil(leftMs)), () => this.flush());
  }
}
