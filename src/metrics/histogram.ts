import * as hdr from 'hdr-histogram-js';
import type { Distribution } from './types.ts';

const unitsPerMs = 1000;
/** 24 hours: longer waits are counted as that. The maximum is kept exactly. */
const unitsMax = 24 * 3600 * 1000 * unitsPerMs;
/** A percentile is printed only when at least this many samples lie above it. */
const samplesAboveMin = 5;

const buildHistogram = (): hdr.Histogram =>
  hdr.build({ bitBucketSize: 32, autoResize: true, numberOfSignificantValueDigits: 3 });

/** Durations, in bounded memory: three significant digits from a microsecond to a day. */
export class Spread {
  #histogram: hdr.Histogram | null = null;
  #maxMs = Number.NEGATIVE_INFINITY;
  #censored = 0;
  #censoredAtMs: number | null;

  /** Samples known only to be longer are taken as `censoredAtMs`. */
  constructor(censoredAtMs: number | null = null) {
    this.#censoredAtMs = censoredAtMs;
  }

  get n(): number {
    return this.#histogram?.totalCount ?? 0;
  }

  add(ms: number): void {
    // Clocks of two processes may disagree by a hair.
    const units = Math.min(Math.max(Math.round(ms * unitsPerMs), 0), unitsMax);
    this.#histogram ??= buildHistogram();
    this.#histogram.recordValue(units);
    this.#maxMs = Math.max(this.#maxMs, ms, 0);
  }

  censor(): void {
    if (this.#censoredAtMs === null) throw new Error('a sample was censored where no limit is set: our bug');
    this.#censored += 1;
    this.add(this.#censoredAtMs);
  }

  /** The value whatever the number of samples: for limits derived from it, never for print. */
  rawPercentileMs(p: number): number | null {
    if (!this.#histogram) return null;
    const ms = this.#histogram.getValueAtPercentile(p * 100) / unitsPerMs;
    return round3(Math.min(ms, this.#maxMs));
  }

  /** The value at p, or, of few samples, at the highest percentile that has as many above it as print needs. */
  steadyPercentileMs(p: number): number | null {
    if (this.n < 2 * samplesAboveMin) return null;
    return this.rawPercentileMs(Math.min(p, 1 - samplesAboveMin / this.n));
  }

  percentileMs(p: number): number | null {
    // Rounded: 100 * (1 - 0.95) is 5.000000000000004 or 4.999999999999999 by chance.
    const above = Math.round(this.n * (1 - p) * 1e6) / 1e6;
    if (above < samplesAboveMin) return null;
    return this.#lowerBound(this.rawPercentileMs(p) as number);
  }

  distribution(): Distribution {
    return {
      n: this.n,
      censored: this.#censored,
      censoredAtMs: this.#censoredAtMs,
      p50Ms: this.percentileMs(0.5),
      p95Ms: this.percentileMs(0.95),
      p99Ms: this.percentileMs(0.99),
      maxMs: this.n > 0 ? round3(this.#maxMs) : null,
      hist: this.#histogram ? hdr.encodeIntoCompressedBase64(this.#histogram) : null,
    };
  }

  /** Beyond the limit nothing is known but that it is beyond. */
  #lowerBound(ms: number): number {
    if (this.#censored === 0 || this.#censoredAtMs === null) return ms;
    // The histogram knows three digits: what rounds to the limit may be the limit.
    return ms >= this.#censoredAtMs * 0.999 ? round3(this.#censoredAtMs) : ms;
  }
}

export const round3 = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Several stored histograms as one: percentiles over trials, which cannot be had from percentiles. */
export function mergeHistograms(stored: readonly (string | null)[]): {
  n: number;
  percentileMs(p: number): number | null;
} {
  const all = buildHistogram();
  for (const text of stored) if (text) all.add(hdr.decodeFromCompressedBase64(text));
  const above = (p: number) => Math.round(all.totalCount * (1 - p) * 1e6) / 1e6;
  return {
    n: all.totalCount,
    percentileMs: p =>
      above(p) < samplesAboveMin ? null : round3(all.getValueAtPercentile(p * 100) / unitsPerMs),
  };
}
