/** Spans of time [fromMs, toMs], and what can be done with lists of them. */
export interface Span {
  fromMs: number;
  toMs: number;
}

const byStart = (a: Span, b: Span): number => a.fromMs - b.fromMs || a.toMs - b.toMs;

/** Sorted, and those that touch or lie within `gapMs` of each other made one. */
export function union(spans: readonly Span[], gapMs = 0): Span[] {
  const merged: Span[] = [];
  for (const span of [...spans].sort(byStart)) {
    const last = merged.at(-1);
    if (last && span.fromMs <= last.toMs + gapMs) last.toMs = Math.max(last.toMs, span.toMs);
    else merged.push({ fromMs: span.fromMs, toMs: span.toMs });
  }
  return merged;
}

/** What of [fromMs, toMs] no span of a union covers. */
export function complement(united: readonly Span[], { fromMs, toMs }: Span): Span[] {
  const free: Span[] = [];
  let at = fromMs;
  for (const span of united) {
    if (span.fromMs > at) free.push({ fromMs: at, toMs: Math.min(span.fromMs, toMs) });
    at = Math.max(at, span.toMs);
    if (at >= toMs) return free;
  }
  if (at < toMs) free.push({ fromMs: at, toMs });
  return free;
}

/** The common parts of two unions. */
export function intersect(a: readonly Span[], b: readonly Span[]): Span[] {
  const common: Span[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x, y] = [a[i] as Span, b[j] as Span];
    const span = { fromMs: Math.max(x.fromMs, y.fromMs), toMs: Math.min(x.toMs, y.toMs) };
    if (span.fromMs < span.toMs) common.push(span);
    if (x.toMs < y.toMs) i += 1;
    else j += 1;
  }
  return common;
}

/** The first span of a union that ends at or after a time, by bisection. */
export function firstEndingFrom(united: readonly Span[], ms: number): number {
  let [low, high] = [0, united.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((united[middle] as Span).toMs < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Does any span of a union touch [fromMs, toMs]? */
export function touches(united: readonly Span[], fromMs: number, toMs: number): boolean {
  const span = united[firstEndingFrom(united, fromMs)];
  return span !== undefined && span.fromMs <= toMs;
}

/**
 * Walks starts and ends (both sorted) in time, telling how many are on after each change. What ends at
 * an instant ends before what starts at it.
 */
export function sweep(
  starts: Float64Array,
  ends: Float64Array,
  each: (atMs: number, on: number) => void,
): void {
  let [s, e] = [0, 0];
  while (s < starts.length || e < ends.length) {
    const atMs = Math.min(starts[s] ?? Number.POSITIVE_INFINITY, ends[e] ?? Number.POSITIVE_INFINITY);
    while (e < ends.length && (ends[e] as number) <= atMs) e += 1;
    while (s < starts.length && (starts[s] as number) <= atMs) s += 1;
    each(atMs, s - e);
  }
}

/** Most at once within [fromMs, toMs], ends included, of starts and ends that are both sorted. */
export function mostAtOnce(starts: Float64Array, ends: Float64Array, { fromMs, toMs }: Span): number {
  let [most, before] = [0, 0];
  sweep(starts, ends, (atMs, on) => {
    if (atMs < fromMs) before = on;
    else if (atMs <= toMs) most = Math.max(most, on);
  });
  return Math.max(most, before);
}
