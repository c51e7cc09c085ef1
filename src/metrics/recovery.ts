import { round3, type Spread } from './histogram.ts';
import type { Tables } from './tables.ts';
import { type Cluster, firstAfter, type Phase, type Timeline, windowSubmits } from './timeline.ts';
import type { Baseline, Recovery, RecoveryBracket } from './types.ts';

const baselineSubmitsMin = 100;
const baselineBadRateMax = 0.05;
/** Slower than twice the baseline's p95 is bad, but a few ms more than very little is not. */
const latencySlackMs = 100;
/** Fewer submits after the heal say nothing about "never". */
const neverSubmitsMin = 5;

/** Not acked (nor rejected as planned), or slower than the limit. */
function isBad({ submits }: Tables, row: number, limitMs: number): boolean {
  const outcome = submits.outcome(row);
  if (outcome !== 'acked' && outcome !== 'rejected') return true;
  return !(submits.latencyMs(row) <= limitMs);
}

/** How things were before anything went wrong. `latency`: of the baseline's users. */
export function baselineOf(tables: Tables, timeline: Timeline, phase: Phase, latency: Spread): Baseline {
  const { submits, plan } = tables;
  const p95Ms = latency.rawPercentileMs(0.95);
  const latencyLimitMs = p95Ms === null ? null : Math.max(2 * p95Ms, p95Ms + latencySlackMs);
  const rows = timeline.order.filter(
    row => phase.holds(submits.scheduledMs.get(row)) && !submits.has(row, 'spoilt'),
  );
  const bad = rows.reduce((n, row) => n + (isBad(tables, row, latencyLimitMs ?? 0) ? 1 : 0), 0);
  const badRate = rows.length > 0 ? bad / rows.length : null;
  const bursts = plan.workload.bursts.filter(({ atMs, overMs }) => atMs + overMs <= phase.toMs).length;
  const burstMissing = plan.workload.bursts.length > 0 && bursts === 0;
  const unusable = whyUnusable(rows.length, burstMissing, badRate);
  return { submits: rows.length, bursts, p95Ms, latencyLimitMs, badRate, unusable };
}

function whyUnusable(submits: number, burstMissing: boolean, badRate: number | null): string | null {
  if (submits < baselineSubmitsMin)
    return `only ${submits} submits before the first fault, ${baselineSubmitsMin} needed`;
  // A scenario without any burst has none to wait for.
  if (burstMissing) return 'no burst before the first fault';
  if (badRate !== null && badRate > baselineBadRateMax)
    return `${(badRate * 100).toFixed(1)} % of the submits before the first fault were bad already, at most 5 % allowed`;
  return null;
}

export function recoveriesOf(
  tables: Tables,
  timeline: Timeline,
  baseline: Baseline,
  oldFailed: readonly number[],
): Recovery[] {
  return timeline.clusters.map((cluster, n) =>
    recoveryOf(tables, timeline, baseline, cluster, oldFailed[n] ?? 0),
  );
}

function recoveryOf(
  tables: Tables,
  timeline: Timeline,
  baseline: Baseline,
  cluster: Cluster,
  oldFailed: number,
): Recovery {
  const { faults, injectMs, healedMs } = cluster;
  const rows = healedMs === null ? [] : [...rowsAfter(tables, timeline, healedMs, cluster.untilMs)];
  const unknownBecause = healedMs === null ? 'not-healed' : baseline.unusable !== null ? 'baseline' : null;
  const old = healedMs === null ? 0 : oldConnections(tables, injectMs, healedMs);
  const effectiveMs = least(faults.map(fault => fault.effectiveMs));
  return {
    faults: faults.map(fault => fault.planned.id),
    injectMs,
    effectiveMs,
    healCalledMs: most(faults.map(fault => fault.healCalledMs)),
    lastFailedMs: most(faults.map(fault => fault.lastFailedMs)),
    healedMs,
    outageMs: healedMs === null || effectiveMs === null ? null : round3(healedMs - effectiveMs),
    ...firsts(tables, timeline, cluster, effectiveMs ?? injectMs),
    errorsPerOldConnection: old > 0 ? oldFailed / old : null,
    oldConnections: old,
    submits: rows.length,
    ...brackets(tables, rows, baseline, unknownBecause === null ? healedMs : null),
    unknownBecause,
  };
}

function* rowsAfter(
  { submits }: Tables,
  { order }: Timeline,
  fromMs: number,
  toMs: number,
): Generator<number> {
  for (let at = firstAfter(submits, order, fromMs); at < order.length; at += 1) {
    const row = order[at] as number;
    if (submits.scheduledMs.get(row) > toMs) return;
    yield row;
  }
}

const unknown: RecoveryBracket = { state: 'unknown', afterMs: null, byMs: null, relapses: 0 };

/** As seen, and with what the machine spoilt counted as good: a machine makes nothing better. */
function brackets(
  tables: Tables,
  rows: readonly number[],
  { latencyLimitMs, badRate }: Baseline,
  healedMs: number | null,
): RecoveryBracket & { best: RecoveryBracket } {
  if (healedMs === null || latencyLimitMs === null || badRate === null) return { ...unknown, best: unknown };
  const { submits } = tables;
  const atMs = rows.map(row => round3(submits.scheduledMs.get(row) - healedMs));
  const bad = rows.map(row => isBad(tables, row, latencyLimitMs));
  const best = rows.map((row, n) => bad[n] === true && !submits.has(row, 'spoilt'));
  return { ...bracketOf(atMs, bad, badRate), best: bracketOf(atMs, best, badRate) };
}

/**
 * Recovered at the first good submit from which on at most floor(m (b + 0.01)) of m are bad. `atMs`: when
 * each was scheduled, from the heal.
 */
export function bracketOf(
  atMs: readonly number[],
  bad: readonly boolean[],
  badRate: number,
): RecoveryBracket {
  const badMax = Math.floor(windowSubmits * (badRate + 0.01) + 1e-9);
  const badUpTo = [0];
  for (const is of bad) badUpTo.push((badUpTo.at(-1) as number) + (is ? 1 : 0));
  const badIn = (from: number, to: number) => (badUpTo[to] as number) - (badUpTo[from] as number);
  for (let k = 0; k + windowSubmits <= bad.length; k += 1) {
    if (bad[k] || badIn(k, k + windowSubmits) > badMax) continue;
    const last = bad.lastIndexOf(true, k);
    const relapses = badIn(k + windowSubmits, bad.length);
    return {
      state: 'recovered',
      afterMs: last < 0 ? 0 : (atMs[last] as number),
      byMs: atMs[k] as number,
      relapses,
    };
  }
  const last = bad.lastIndexOf(true);
  const tail = Math.min(windowSubmits, bad.length);
  const never = bad.length >= neverSubmitsMin && badIn(bad.length - tail, bad.length) > tail / 2;
  return {
    state: never ? 'never' : 'censored',
    afterMs: last < 0 ? null : (atMs[last] as number),
    byMs: null,
    relapses: 0,
  };
}

/** First ack of a submit sent since the outage took effect, and first submit sent after the heal. */
function firsts(
  { submits }: Tables,
  { order }: Timeline,
  { healedMs }: Cluster,
  sinceMs: number,
): { firstSuccessMs: number | null; firstTryMs: number | null } {
  if (healedMs === null) return { firstSuccessMs: null, firstTryMs: null };
  let [success, tried] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const row of order) {
    if (!submits.has(row, 'sent')) continue;
    const [sentMs, settledMs] = [submits.sentMs.get(row), submits.settledMs.get(row)];
    if (sentMs > healedMs) tried = Math.min(tried, sentMs);
    if (submits.outcome(row) === 'acked' && sentMs > sinceMs && settledMs > healedMs)
      success = Math.min(success, settledMs);
  }
  const sinceHeal = (ms: number) => (Number.isFinite(ms) ? round3(ms - healedMs) : null);
  return { firstSuccessMs: sinceHeal(success), firstTryMs: sinceHeal(tried) };
}

/** Connections opened before the outage and not closed before its heal. */
function oldConnections({ connections }: Tables, injectMs: number, healedMs: number): number {
  let count = 0;
  for (let at = 0; at < connections.length; at += 1)
    if (connections.openMs.get(at) < injectMs && connections.endMs(at) >= healedMs) count += 1;
  return count;
}

const known = (all: readonly (number | null)[]): number[] => all.filter(ms => ms !== null);
const least = (all: readonly (number | null)[]): number | null =>
  known(all).length ? Math.min(...known(all)) : null;
const most = (all: readonly (number | null)[]): number | null =>
  known(all).length ? Math.max(...known(all)) : null;
