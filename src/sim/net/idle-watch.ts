import type { Entry, VirtualLoop } from '../loop.ts';
import type { IdleLimit } from './toxics.ts';

interface Watched {
  readonly activeMs: number;
  kill(toxic: string, limit: IdleLimit): void;
}

const look = (watch: IdleWatch): void => watch.look();

/** Ends a link that was idle too long: one timer, set anew only when it fires, so that traffic costs nothing. */
export class IdleWatch {
  readonly #link: Watched;
  readonly #toxic: string;
  readonly #limit: IdleLimit;
  readonly #loop: VirtualLoop;
  #entry: Entry;

  constructor(link: Watched, toxic: string, limit: IdleLimit, loop: VirtualLoop) {
    this.#link = link;
    this.#toxic = toxic;
    this.#limit = limit;
    this.#loop = loop;
    this.#entry = this.#arm(link.activeMs + limit.timeoutMs);
  }

  #arm(atMs: number): Entry {
    return this.#loop.schedule(atMs, this.#loop.root, look, this as IdleWatch);
  }

  look(): void {
    const dueMs = this.#link.activeMs + this.#limit.timeoutMs;
    if (dueMs > this.#loop.nowMs) this.#entry = this.#arm(dueMs);
    else this.#link.kill(this.#toxic, this.#limit);
  }

  close(): void {
    this.#loop.cancel(this.#entry);
  }
}
