import type { Attempts } from './attempts.ts';
import { type Times, times } from './columns.ts';
import { type Condition, Conditions } from './conditions.ts';
import { complement, firstEndingFrom, intersect, type Span, sweep, union } from './spans.ts';
import type { Tables } from './tables.ts';
import type { Timeline } from './timeline.ts';

/** How the slots of one worker's pool were used: from its leases and connections, not from samples. */
interface Slots {
  /** Every slot is leased. */
  full: Span[];
  /** Every slot is taken, not all are leased, and what is not is neither on its way nor excused by an outage. */
  held: Span[];
}

/**
 * Long waits for a connection. `client-limit`: all slots leased meanwhile. `starved`: for as long as such a
 * wait all slots are taken and not all of them leased: the rest is held by connections that are closing or
 * dead. Between two leases a slot is free for an instant, so a shorter time is no sign. Neither is a slot that
 * nobody holds, a connection on its way that arrives, nor a time in which the server was gone: what is waited
 * for then is the server, not a slot.
 */
export function findSlots(tables: Tables, timeline: Timeline, attempts: Attempts): Condition[] {
  const { plan, submits } = tables;
  const { max, acquireTimeoutMs } = plan.candidateSpec;
  if (max === null) return [];
  const limitMs = Math.min((acquireTimeoutMs ?? Number.POSITIVE_INFINITY) / 2, plan.patienceMs / 4);
  const found = new Conditions(plan.secondMs);
  const starved = new Conditions(plan.secondMs);
  for (const [life, long] of longWaits(attempts, limitMs)) {
    const { full, held } = slotsOf(tables, timeline, life, { max, limitMs });
    const waited = union(long.map(({ fromMs, toMs }) => ({ fromMs: fromMs + limitMs, toMs })));
    const line = long[0]?.line ?? -1;
    for (const span of intersect(waited, full))
      found.add({ ...span, cause: 'client-limit', spoilt: false, line });
    for (const wait of long) addStarved(starved, held, wait, limitMs, submits.has(wait.submit, 'spoilt'));
  }
  return [...found.all, ...starved.all];
}

interface LongWait extends Span {
  submit: number;
  line: number;
}

function longWaits({ waits }: Attempts, limitMs: number): Map<number, LongWait[]> {
  const byLife = new Map<number, LongWait[]>();
  for (let n = 0; n < waits.length; n += 1) {
    const [fromMs, toMs] = [waits.startMs.get(n), waits.endMs.get(n)];
    if (toMs - fromMs <= limitMs) continue;
    const wait = { fromMs, toMs, submit: waits.submit.get(n), line: waits.line.get(n) };
    const all = byLife.get(waits.life.get(n));
    if (all) all.push(wait);
    else byLife.set(waits.life.get(n), [wait]);
  }
  return byLife;
}

function addStarved(
  found: Conditions,
  held: readonly Span[],
  wait: LongWait,
  limitMs: number,
  spoilt: boolean,
): void {
  for (let n = firstEndingFrom(held, wait.fromMs); n < held.length; n += 1) {
    const { fromMs, toMs } = held[n] as Span;
    if (fromMs >= wait.toMs) return;
    const span = { fromMs: Math.max(fromMs, wait.fromMs) + limitMs, toMs: Math.min(toMs, wait.toMs) };
    if (span.fromMs < span.toMs) found.add({ ...span, cause: 'starved', spoilt, line: wait.line });
  }
}

function slotsOf(
  tables: Tables,
  { outages, endMs }: Timeline,
  life: number,
  { max, limitMs }: { max: number; limitMs: number },
): Slots {
  const { leased, there, arriving } = useOf(tables, life);
  const full = atLeast(max, leased, endMs);
  const explained = union([...full, ...arriving, ...outages]);
  const held = intersect(atLeast(max, there, endMs), complement(explained, { fromMs: 0, toMs: endMs }));
  return { full, held: held.filter(({ fromMs, toMs }) => toMs - fromMs > limitMs) };
}

interface Use {
  starts: Times;
  ends: Times;
}
const noUse = (): Use => ({ starts: times(), ends: times() });

/** When `max` or more were on at once. */
function atLeast(max: number, { starts, ends }: Use, endMs: number): Span[] {
  const spans: Span[] = [];
  let since: number | null = null;
  sweep(starts.sorted(), ends.sorted(), (atMs, on) => {
    if (on >= max) since ??= atMs;
    else if (since !== null) {
      spans.push({ fromMs: since, toMs: atMs });
      since = null;
    }
  });
  if (since !== null) spans.push({ fromMs: since, toMs: endMs });
  return spans;
}

/** The leases of a life, the connections that are there (a slot each), and those on their way that arrive. */
function useOf({ connections }: Tables, life: number): { leased: Use; there: Use; arriving: Span[] } {
  const { leases } = connections;
  const [leased, there, arriving] = [noUse(), noUse(), [] as Span[]];
  for (let lease = 0; lease < leases.length; lease += 1) {
    if (connections.life.get(leases.connection.get(lease)) !== life) continue;
    leased.starts.push(leases.borrowMs.get(lease));
    leased.ends.push(connections.leaseEndMs(lease));
  }
  for (let at = 0; at < connections.length; at += 1) {
    const startMs = connections.startMs(at);
    if (connections.life.get(at) !== life || Number.isNaN(startMs)) continue;
    there.starts.push(startMs);
    there.ends.push(connections.endMs(at));
    const openMs = connections.openMs.get(at);
    if (startMs <= openMs) arriving.push({ fromMs: startMs, toMs: openMs });
  }
  return { leased, there, arriving };
}
