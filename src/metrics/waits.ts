import { ints, times } from './columns.ts';
import { mostAtOnce, type Span } from './spans.ts';

/** Every wait for a connection: from asking the pool to being given one or giving up. */
export class Waits {
  readonly startMs = times();
  readonly endMs = times();
  readonly submit = ints();
  readonly life = ints();
  readonly line = ints();

  get length(): number {
    return this.startMs.length;
  }

  add(wait: Span & { submit: number; life: number; line: number }): void {
    this.startMs.push(wait.fromMs);
    this.endMs.push(wait.toMs);
    this.submit.push(wait.submit);
    this.life.push(wait.life);
    this.line.push(wait.line);
  }

  /** Waits of one life that go on within a span; one that ends as it begins is none. */
  countIn({ fromMs, toMs }: Span, life: number): number {
    let count = 0;
    for (let n = 0; n < this.length; n += 1) {
      const within = this.startMs.get(n) < toMs && this.endMs.get(n) > fromMs;
      if (within && this.life.get(n) === life) count += 1;
    }
    return count;
  }

  overlaps(n: number, { fromMs, toMs }: Span): boolean {
    return this.startMs.get(n) <= toMs && this.endMs.get(n) >= fromMs;
  }

  /** Most at once within a span, all workers together. */
  mostIn(span: Span): number {
    const [starts, ends] = [times(), times()];
    for (let n = 0; n < this.length; n += 1) {
      if (!this.overlaps(n, span)) continue;
      starts.push(this.startMs.get(n));
      ends.push(this.endMs.get(n));
    }
    return mostAtOnce(starts.sorted(), ends.sorted(), span);
  }
}
