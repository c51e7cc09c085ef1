import type { Process, Step } from './host.ts';

/** What a session waits for in the middle of a statement, and whatever may end the wait. */

export type WaitKind = 'lock' | 'sleep' | 'commit';

interface Wait {
  kind: WaitKind;
  steps: Step[];
}

export class Waits {
  #backend: Process;
  #wait: Wait | null = null;

  constructor(backend: Process) {
    this.#backend = backend;
  }

  get kind(): WaitKind | null {
    return this.#wait?.kind ?? null;
  }

  /** Returns whether it is still this one. */
  start(kind: WaitKind): () => boolean {
    const wait: Wait = { kind, steps: [] };
    this.#wait = wait;
    return () => this.#wait === wait;
  }

  /** `act` at `atMs`, unless the wait is over by then. */
  at(atMs: number, act: () => void): void {
    const wait = this.#wait!;
    wait.steps.push(this.#backend.host.later(atMs, () => this.#wait === wait && act()));
  }

  end(): void {
    if (!this.#wait) return;
    for (const step of this.#wait.steps) step.cancel();
    this.#wait = null;
    const backend = this.#backend;
    if (backend.cursorMs < backend.host.nowMs) backend.cursorMs = backend.host.nowMs;
  }
}
