import type { Attempts } from './attempts.ts';
import { ints, orderByTime, type Times, times } from './columns.ts';
import { type Condition, Conditions } from './conditions.ts';
import { round3 } from './histogram.ts';
import { findSlots } from './slots.ts';
import { firstEndingFrom, mostAtOnce, type Span } from './spans.ts';
import type { Tables } from './tables.ts';
import type { Timeline } from './timeline.ts';
import { type Episode, type ExhaustionCause, exhaustionCauses } from './types.ts';

/** A lease that is still out this many (scaled) seconds after its submit settled is leaked. */
const leakSeconds = 5;
const failing: readonly ExhaustionCause[] = ['leak', 'broken-timeout', 'starved'];

export function exhaustionOf(tables: Tables, timeline: Timeline, attempts: Attempts): Episode[] {
  const conditions = [
    ...leaks(tables),
    ...brokenTimeouts(tables, attempts),
    ...findSlots(tables, timeline, attempts),
    ...refusalConditions(tables, attempts),
  ];
  const groups = merge(conditions, tables.plan.secondMs);
  const waiting = waitingIn(groups, attempts);
  return groups.map((group, n) => ({
    ...describe(group.conditions),
    fromMs: round3(group.fromMs),
    toMs: round3(group.toMs),
    ...(waiting[n] as { waitingMax: number; submits: number }),
    max: tables.plan.candidateSpec.max,
  }));
}

function leaks({ plan, submits, connections, lives, notes }: Tables): Condition[] {
  const found = new Conditions(plan.secondMs);
  const { leases } = connections;
  const overMs = Math.min(lives.closingMs, notes.lastMs);
  for (let lease = 0; lease < leases.length; lease += 1) {
    const submit = leases.submit.get(lease);
    if (submit < 0) continue;
    const fromMs = submits.settledMs.get(submit) + leakSeconds * plan.secondMs;
    const toMs = Math.min(connections.leaseEndMs(lease), overMs);
    if (toMs > fromMs)
      found.add({ cause: 'leak', fromMs, toMs, spoilt: false, line: leases.line.get(lease) });
  }
  return found.all;
}

/** Real ms by which any timer may be late. */
const timerSlackMs = 50;

function brokenTimeouts({ plan, submits, vitals, lives }: Tables, { waits }: Attempts): Condition[] {
  const { acquireTimeoutMs } = plan.candidateSpec;
  const found = new Conditions(plan.secondMs);
  if (acquireTimeoutMs === null) return found.all;
  const limitMs = acquireTimeoutMs + Math.max(timerSlackMs, acquireTimeoutMs / 10);
  for (let n = 0; n < waits.length; n += 1) {
    const [startMs, toMs] = [waits.startMs.get(n), waits.endMs.get(n)];
    if (toMs - startMs <= limitMs) continue;
    const worker = lives.all[waits.life.get(n)]?.worker ?? 0;
    const fromMs = startMs + limitMs + vitals.loopDelayMs(worker, { fromMs: startMs, toMs });
    const spoilt = submits.has(waits.submit.get(n), 'spoilt');
    if (toMs > fromMs) found.add({ cause: 'broken-timeout', fromMs, toMs, spoilt, line: waits.line.get(n) });
  }
  return found.all;
}

/** Seen by workers or by the server's log: either may miss what the other shows. */
function refusalConditions(
  { plan, logRefusals: inLog }: Tables,
  { refusals: inWorkers }: Attempts,
): Condition[] {
  // The same refusal shows in both: gaps are counted in the fuller of the two.
  const fuller = inWorkers.length > inLog.length ? inWorkers : inLog;
  const found = new Conditions(Math.max(plan.secondMs, 3 * medianGapMs(fuller.atMs)));
  const [atMs, lines] = [times(), ints()];
  for (const { atMs: column, line, length } of [inWorkers, inLog]) {
    for (let n = 0; n < length; n += 1) {
      atMs.push(column.get(n));
      lines.push(line.get(n));
    }
  }
  for (const n of orderByTime(atMs.length, row => atMs.get(row))) {
    const ms = atMs.get(n);
    found.add({ cause: 'server-limit', fromMs: ms, toMs: ms, spoilt: false, line: lines.get(n) });
  }
  return found.all;
}

/** Of two refusals the one gap is the median: with fewer than this it says nothing of what is usual. */
const gapsMin = 5;

function medianGapMs(column: Times): number {
  const sorted = column.sorted();
  const gaps = sorted
    .subarray(1)
    .map((ms, n) => ms - (sorted[n] as number))
    .sort();
  return gaps.length < gapsMin ? 0 : (gaps[gaps.length >> 1] as number);
}

/** An episode lasts until its condition has been false for a second: what begins before that is the same. */
function merge(conditions: Condition[], secondMs: number): (Span & { conditions: Condition[] })[] {
  const groups: (Span & { conditions: Condition[] })[] = [];
  for (const condition of conditions.sort((a, b) => a.fromMs - b.fromMs)) {
    const last = groups.at(-1);
    if (last && condition.fromMs <= last.toMs + secondMs) {
      last.toMs = Math.max(last.toMs, condition.toMs);
      last.conditions.push(condition);
    } else groups.push({ fromMs: condition.fromMs, toMs: condition.toMs, conditions: [condition] });
  }
  return groups;
}

function describe(conditions: readonly Condition[]): Pick<Episode, 'cause' | 'also' | 'spoilt' | 'lines'> {
  const [cause, ...also] = exhaustionCauses.filter(name => conditions.some(it => it.cause === name));
  const bad = conditions.filter(it => failing.includes(it.cause));
  const lines = conditions.filter(it => it.cause === cause && it.line >= 0).map(it => it.line);
  return {
    cause: cause as ExhaustionCause,
    also,
    spoilt: bad.length > 0 && bad.every(it => it.spoilt),
    lines: [...new Set([...lines.slice(0, 2), ...lines.slice(-1)])],
  };
}

/** Who waited in each episode (those refused waited, too); a submit's attempts stand together. */
function waitingIn(
  episodes: readonly Span[],
  { waits }: Attempts,
): { waitingMax: number; submits: number }[] {
  const tallies = episodes.map(() => ({ starts: times(), ends: times(), submits: 0, lastSubmit: -1 }));
  for (let n = 0; n < waits.length; n += 1) {
    for (let at = firstEndingFrom(episodes, waits.startMs.get(n)); at < episodes.length; at += 1) {
      if (!waits.overlaps(n, episodes[at] as Span)) break;
      const tally = tallies[at] as (typeof tallies)[number];
      tally.starts.push(waits.startMs.get(n));
      tally.ends.push(waits.endMs.get(n));
      if (waits.submit.get(n) !== tally.lastSubmit) tally.submits += 1;
      tally.lastSubmit = waits.submit.get(n);
    }
  }
  return tallies.map(({ starts, ends, submits }, n) => ({
    waitingMax: mostAtOnce(starts.sorted(), ends.sorted(), episodes[n] as Span),
    submits,
  }));
}
