import type { Actor, Entry, VirtualLoop } from '../loop.ts';

const fire = (timer: IdleTimer): void => timer.fire();

/** socket.setTimeout: `act` after so long without activity, and again after the next activity and the next pause. */
export class IdleTimer {
  readonly #loop: VirtualLoop;
  readonly #actor: Actor;
  readonly #act: () => void;
  #timeoutMs = 0;
  #lastMs = 0;
  #entry: Entry | null = null;

  constructor(loop: VirtualLoop, actor: Actor, act: () => void) {
    this.#loop = loop;
    this.#actor = actor;
    this.#act = act;
  }

  /** 0: never. */
  set(timeoutMs: number): void {
    if (this.#entry !== null) this.#loop.cancel(this.#entry);
    this.#entry = null;
    this.#timeoutMs = timeoutMs;
    this.active();
  }

  /** Only a stamp as long as the timer runs: this is called for every chunk. */
  active(): void {
    if (this.#timeoutMs === 0) return;
    this.#lastMs = this.#loop.nowMs;
    if (this.#entry === null) this.#arm();
  }

  #arm(): void {
    this.#entry = this.#loop.schedule(this.#lastMs + this.#timeoutMs, this.#actor, fire, this as IdleTimer);
  }

  fire(): void {
    this.#entry = null;
    if (this.#lastMs + this.#timeoutMs > this.#loop.nowMs) this.#arm();
    else this.#act();
  }
}
