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
  /** Not every slot is leased, and what is not leased is neither on its way nor excused by an outage. */
  held: Span[];
}

/**
 * Long waits for a connection. `client-limit`: all slots leased meanwhile. `starved`: not all of them, for
 * as long as such a wait: the rest is held by connections that are closing or dead. Between two leases
 * a slot is free for an instant, so a shorter time is no sign. Neither is a connection on its way that
 * arrives, nor a time in which the server was gone: what is waited for then is the server, not a slot.
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
  const { borrows, ends, arriving } = useOf(tables, life);
  const full: Span[] = [];
  let since: number | null = null;
  sweep(borrows.sorted(), ends.sorted(), (atMs, out) => {
    if (out >= max) since ??= atMs;
    else if (since !== null) {
      full.push({ fromMs: since, toMs: atMs });
      since = null;
    }
  });
  if (since !== null) full.push({ fromMs: since, toMs: endMs });
  const explained = union([...full, ...arriving, ...outages]);
  const held = complement(explained, { fromMs: 0, toMs: endMs });
  return { full, held: held.filter(({ fromMs, toMs }) => toMs - fromMs > limitMs) };
}

function useOf({ connections }: Tables, life: number): { borrows: Times; ends: Times; arriving: Span[] } {
  const { leases } = connections;
  const [borrows, ends, arriving] = [times(), times(), [] as Span[]];
  for (let lease = 0; lease < leases.length; lease += 1) {
    if (connections.life.get(leases.connection.get(lease)) !== life) continue;
    borrows.push(leases.borrowMs.get(lease));
    ends.push(connections.leaseEndMs(lease));
  }
  for (let at = 0; at < connections.length; at += 1) {
    const [fromMs, toMs] = [connections.openingMs.get(at), connections.openMs.get(at)];
    if (connections.life.get(at) === life && fromMs <= toMs) arriving.push({ fromMs, toMs });
  }
  return { borrows, ends, arriving };
}
