import type { Span } from './spans.ts';
import type { ExhaustionCause } from './types.ts';

/** A time during which a cause's condition held. */
export interface Condition extends Span {
  cause: ExhaustionCause;
  spoilt: boolean;
  line: number;
}

/** Conditions of one cause; what follows within `gapMs` is the same one, so that few are held. */
export class Conditions {
  readonly all: Condition[] = [];
  #gapMs: number;

  constructor(gapMs: number) {
    this.#gapMs = gapMs;
  }

  add(next: Condition): void {
    const last = this.all.at(-1);
    const joins =
      last?.spoilt === next.spoilt &&
      next.fromMs <= last.toMs + this.#gapMs &&
      next.toMs >= last.fromMs - this.#gapMs;
    if (!last || !joins) this.all.push({ ...next });
    else
      Object.assign(last, {
        fromMs: Math.min(last.fromMs, next.fromMs),
        toMs: Math.max(last.toMs, next.toMs),
      });
  }
}
