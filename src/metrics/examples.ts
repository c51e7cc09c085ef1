interface Example {
  first: number;
  worst: number;
  worstBy: number;
  last: number;
}

/** For each class of things the first, the worst and the last ledger line: bounded, whatever happened. */
export class Examples {
  #byClass = new Map<string, Example>();

  /** `by` says how bad; without it the first one counts as the worst. */
  add(name: string, line: number, by = 0): void {
    const known = this.#byClass.get(name);
    if (!known) {
      this.#byClass.set(name, { first: line, worst: line, worstBy: by, last: line });
      return;
    }
    if (by > known.worstBy) Object.assign(known, { worst: line, worstBy: by });
    known.first = Math.min(known.first, line);
    known.last = Math.max(known.last, line);
  }

  lines(name: string): number[] {
    const known = this.#byClass.get(name);
    return known ? [...new Set([known.first, known.worst, known.last])] : [];
  }

  all(): Record<string, number[]> {
    return Object.fromEntries([...this.#byClass.keys()].sort().map(name => [name, this.lines(name)]));
  }
}
