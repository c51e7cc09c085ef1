import type { Clock } from './clock.ts';

const writeEveryMs = 1000;

/** How fast a run goes: how much of the scenarios' time passed in how much real time. */
export class Pace {
  /** Of the scenario's time, from the first submit of each trial to its last answer. */
  soakedMs = 0;
  wallMs = 0;
  #clock: Clock;
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Virtual trials come faster than all their results could be written anew. */
  due(): boolean {
    const isDue = this.#clock.nowMs() - this.#writtenMs >= writeEveryMs;
    if (isDue) this.#writtenMs = this.#clock.nowMs();
    return isDue;
  }

  /** To be told of each phase of a trial, with the trial's own clock. */
  watch(trial: Clock, speed: number): (phase: string) => void {
    let begun: { wallMs: number; trialMs: number } | null = null;
    return phase => {
      if (phase === 'soak') begun = { wallMs: this.#clock.nowMs(), trialMs: trial.nowMs() };
      if (phase !== 'close' || !begun) return;
      this.wallMs += this.#clock.nowMs() - begun.wallMs;
      this.soakedMs += (trial.nowMs() - begun.trialMs) * speed;
    };
  }
}
