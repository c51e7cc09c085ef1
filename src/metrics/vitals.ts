import type { Gauges, LedgerRecord, Probe, Sample } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import { ints, type Times, times } from './columns.ts';
import { Spread } from './histogram.ts';
import type { Life, Lives } from './lives.ts';
import { type Span, touches, union } from './spans.ts';

/** A delay above this spoils a submit: the machine, not the candidate, made its user wait. */
export const spoiltOverMs = ({ patienceMs }: Plan): number => Math.max(20, patienceMs / 4);

/** What gauges, samples and the harness's own probe say of processes and machine. */
export class Vitals {
  readonly gaugeMs = times();
  readonly rssBytes = times();
  readonly sampleMs = times();
  readonly sessions = ints();
  readonly harnessLoop = new Spread();
  readonly workerLoop = new Spread();
  #limitMs: number;
  #lives: Lives;
  #periodMs: number;
  #lastGaugeMs = new Map<Life, number>();
  #loopOf = new Map<number, { atMs: Times; delayMs: Times }>();
  #slow = new Map<number, Span[]>();
  #probeEndMs = times();
  #probeTookMs = times();

  constructor(plan: Plan, lives: Lives) {
    this.#limitMs = spoiltOverMs(plan);
    this.#periodMs = plan.sampleMs;
    this.#lives = lives;
  }

  addGauges({ worker, life, atMs, loopDelayP99Ms, rssBytes }: LedgerRecord & Gauges): void {
    const it = this.#lives.of(worker, life);
    const fromMs = this.#lastGaugeMs.get(it) ?? atMs - this.#periodMs;
    this.#lastGaugeMs.set(it, atMs);
    this.gaugeMs.push(atMs);
    this.rssBytes.push(rssBytes ?? Number.NaN);
    if (loopDelayP99Ms === null) return;
    this.workerLoop.add(loopDelayP99Ms);
    const loop = this.#loop(worker);
    loop.atMs.push(atMs);
    loop.delayMs.push(loopDelayP99Ms);
    if (loopDelayP99Ms > this.#limitMs) this.#slowSpans(worker).push({ fromMs, toMs: atMs });
  }

  addSample({ t, sessions, sessionsMax, harnessLoopDelayMs }: LedgerRecord & Sample): void {
    this.sampleMs.push(t);
    this.sessions.push(sessionsMax ?? sessions);
    if (harnessLoopDelayMs !== null) this.harnessLoop.add(harnessLoopDelayMs);
  }

  addProbe({ what, t, tookMs }: LedgerRecord & Probe): void {
    if (what !== 'machine') return;
    this.#probeEndMs.push(t);
    this.#probeTookMs.push(tookMs);
  }

  /** When a worker's event loop was too slow to judge what ran in it; call when all gauges are in. */
  slowLoops(): Map<number, Span[]> {
    return new Map([...this.#slow].map(([worker, spans]) => [worker, union(spans)]));
  }

  /** The worst delay a worker's event loop told of for some of [fromMs, toMs]. */
  loopDelayMs(worker: number, { fromMs, toMs }: Span): number {
    const { atMs, delayMs } = this.#loop(worker);
    let worst = 0;
    for (let n = firstFrom(atMs, fromMs); n < atMs.length; n += 1) {
      worst = Math.max(worst, delayMs.get(n));
      // This one covers the time up to it: the first at or after the end is the last that counts.
      if (atMs.get(n) >= toMs) break;
    }
    return worst;
  }

  /** How long SELECT 1 took outside `disturbed`, and the seconds in which it took too long. */
  probes(disturbed: readonly Span[]): { spread: Spread; slow: Span[] } {
    const spread = new Spread();
    const slow: Span[] = [];
    for (let n = 0; n < this.#probeEndMs.length; n += 1) {
      const [toMs, tookMs] = [this.#probeEndMs.get(n), this.#probeTookMs.get(n)];
      if (touches(disturbed, toMs - tookMs, toMs)) continue;
      spread.add(tookMs);
      if (tookMs > this.#limitMs) slow.push(wholeSeconds(toMs - tookMs, toMs));
    }
    return { spread, slow: union(slow) };
  }

  /** The largest value of a column within a span; null without any. */
  rssMaxBytes(span: Span): number | null {
    return largest(span, this.gaugeMs, this.rssBytes);
  }

  serverMax(span: Span): number | null {
    return largest(span, this.sampleMs, this.sessions);
  }

  #loop(worker: number): { atMs: Times; delayMs: Times } {
    const known = this.#loopOf.get(worker) ?? { atMs: times(), delayMs: times() };
    this.#loopOf.set(worker, known);
    return known;
  }

  #slowSpans(worker: number): Span[] {
    const known = this.#slow.get(worker);
    if (known) return known;
    const fresh: Span[] = [];
    this.#slow.set(worker, fresh);
    return fresh;
  }
}

/** Real seconds: what made one SELECT 1 slow is taken to have lasted that long. */
const wholeSeconds = (fromMs: number, toMs: number): Span => ({
  fromMs: Math.floor(fromMs / 1000) * 1000,
  toMs: (Math.floor(toMs / 1000) + 1) * 1000,
});

/** The first entry of an ascending column at or after a time. */
function firstFrom(column: Times, ms: number): number {
  let [low, high] = [0, column.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column.get(middle) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

type ReadColumn = { length: number; get(at: number): number };

function largest({ fromMs, toMs }: Span, at: ReadColumn, values: ReadColumn): number | null {
  let most: number | null = null;
  for (let n = 0; n < at.length; n += 1) {
    const [ms, value] = [at.get(n), values.get(n)];
    if (ms >= fromMs && ms <= toMs && !Number.isNaN(value)) most = Math.max(most ?? value, value);
  }
  return most;
}
