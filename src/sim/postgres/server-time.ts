import type { Actor, VirtualLoop } from '../loop.ts';
import type { Step } from './host.ts';

/** What the server's processes will do, and a stop of all of them by a signal. */
export class ServerTime {
  paused = false;
  #loop: VirtualLoop;
  #actor: Actor;
  #deferred: (() => void)[] = [];

  constructor(loop: VirtualLoop, actor: Actor) {
    this.#loop = loop;
    this.#actor = actor;
  }

  later(atMs: number, act: () => void): Step {
    const step = new Later(this, atMs, act);
    step.entry = this.#loop.schedule(atMs, this.#actor, run, step);
    return step;
  }

  forget(step: Later): void {
    if (step.entry) this.#loop.cancel(step.entry);
  }

  whenResumed(act: () => void): void {
    this.#deferred.push(act);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    for (const act of this.#deferred.splice(0)) act();
  }
}

class Later implements Step {
  readonly atMs: number;
  entry: ReturnType<VirtualLoop['schedule']> | null = null;
  #time: ServerTime;
  #act: (() => void) | null;

  constructor(time: ServerTime, atMs: number, act: () => void) {
    this.#time = time;
    this.atMs = atMs;
    this.#act = act;
  }

  cancel(): void {
    this.#act = null;
    this.#time.forget(this);
  }

  run(): void {
    if (this.#time.paused) this.#time.whenResumed(() => this.#act?.());
    else this.#act?.();
  }
}

const run = (step: Later): void => step.run();
