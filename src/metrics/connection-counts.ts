import type { Attempts } from './attempts.ts';
import { times } from './columns.ts';
import { Spread } from './histogram.ts';
import { mostAtOnce, type Span, touches } from './spans.ts';
import type { Tables } from './tables.ts';
import type { Timeline } from './timeline.ts';
import type { Connections } from './types.ts';

/** Real ms in which a fresh process compiles its code: what connecting costs then is not what it costs. */
const warmUpMs = 500;

/** Counts of connections; `warm` is filled with how long opening one took outside faults, once warm. */
export function connectionsOf(
  tables: Tables,
  { anyFault }: Timeline,
  { poisoned, refusals }: Attempts,
  warm: Spread,
): { counts: Connections; clientMaxIn: (span: Span) => number } {
  const { connections, vitals, logRefusals } = tables;
  const [opens, ends] = [times(), times()];
  const connect = new Spread();
  const firstMs = new Map<number, number>();
  for (let at = 0; at < connections.length; at += 1) {
    const [openingMs, openMs] = [connections.openingMs.get(at), connections.openMs.get(at)];
    const life = connections.life.get(at);
    const sinceMs = firstMs.get(life) ?? openingMs;
    firstMs.set(life, sinceMs);
    if (Number.isNaN(openMs)) continue;
    opens.push(openMs);
    ends.push(connections.endMs(at));
    if (!(openingMs <= openMs) || touches(anyFault, openingMs, openMs)) continue;
    connect.add(openMs - openingMs);
    if (openingMs - sinceMs >= warmUpMs) warm.add(openMs - openingMs);
  }
  const [starts, overs] = [opens.sorted(), ends.sorted()];
  const always = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  const firsts = [refusals.firstMs(), logRefusals.firstMs()].filter(ms => ms !== null);
  const firstRefusalMs = firsts.length > 0 ? Math.min(...firsts) : null;
  return {
    clientMaxIn: span => mostAtOnce(starts, overs, span),
    counts: {
      opened: connections.opened,
      closed: connections.closed,
      clientMax: mostAtOnce(starts, overs, always),
      serverMax: vitals.serverMax(always),
      poisoned: poisoned.all,
      poisonedOutsideOutages: poisoned.outsideOutages,
      poisonedSpoilt: poisoned.spoilt,
      firstRefusalMs,
      leakedAtFirstRefusal: firstRefusalMs === null ? null : leakedAt(tables, firstRefusalMs),
      rejectedAtFirstRefusal: firstRefusalMs === null ? null : rejectedBy(tables, firstRefusalMs),
      connect: connect.distribution(),
    },
  };
}

/** Leases out whose submit had settled: no 5 s are given here, since a refusal does not wait for them. */
function leakedAt({ connections, submits }: Tables, ms: number): number {
  const { leases } = connections;
  let count = 0;
  for (let lease = 0; lease < leases.length; lease += 1) {
    const submit = leases.submit.get(lease);
    if (submit < 0 || !(submits.settledMs.get(submit) < ms)) continue;
    if (connections.leaseEndMs(lease) > ms) count += 1;
  }
  return count;
}

function rejectedBy({ submits }: Tables, ms: number): number {
  let count = 0;
  for (let row = 0; row < submits.length; row += 1)
    if (submits.outcome(row) === 'rejected' && submits.settledMs.get(row) < ms) count += 1;
  return count;
}
