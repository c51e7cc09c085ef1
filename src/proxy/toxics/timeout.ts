import type { Clock } from '../../clock.ts';
import { msMax, type Next, type Stage, type Toxic, type WatchedLink } from './toxic.ts';

type TimeoutAttributes = { timeout: number };

/**
 * What comes in this direction is lost, and the connection ends (FIN) `timeout` ms after the last of it, or after the
 * toxic came; 0: never. Ends at once when the toxic is removed, since bytes are missing. An end of the source passes.
 */
export const timeout: Toxic<TimeoutAttributes> = {
  type: 'timeout',
  attributes: { timeout: { kind: 'integer', default: 0, max: msMax, unit: 'ms' } },
  stage: (next, attributes, { clock }, link) => new TimeoutStage(next, attributes, clock, link),
};

class TimeoutStage implements Stage<TimeoutAttributes> {
  readonly #next: Next;
  readonly #clock: Clock;
  readonly #link: WatchedLink;
  #timeoutMs = 0;
  #cancel = () => {};
  readonly heldBytes = 0;

  constructor(next: Next, attributes: TimeoutAttributes, clock: Clock, link: WatchedLink) {
    this.#next = next;
    this.#clock = clock;
    this.#link = link;
    this.update(attributes);
  }

  push(): void {
    this.#arm();
  }

  end(): void {
    this.close();
    this.#next.end();
  }

  update({ timeout }: TimeoutAttributes): void {
    this.#timeoutMs = timeout;
    this.#arm();
  }

  flush(): void {}

  removed(): void {
    this.#link.kill('fin');
  }

  close(): void {
    this.#cancel();
  }

  #arm(): void {
    this.#cancel();
    if (this.#timeoutMs > 0) this.#cancel = this.#clock.after(this.#timeoutMs, () => this.#link.kill('fin'));
  }
}
