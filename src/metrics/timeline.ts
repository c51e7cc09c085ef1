import { orderByTime } from './columns.ts';
import { type FaultTimes, overMs, windowsOf } from './faults.ts';
import { type Span, union } from './spans.ts';
import type { Submits } from './submits.ts';
import type { Tables } from './tables.ts';

/** Submits that must come between two outages for their recoveries to be told apart; also the window m. */
export const windowSubmits = 20;

type Injected = FaultTimes & { injectMs: number };

/** Outages too close to each other to be told apart. */
export interface Cluster {
  faults: Injected[];
  injectMs: number;
  /** The last heal; null: never healed. */
  healedMs: number | null;
  /** Next cluster's inject, or the start of drain. */
  untilMs: number;
}

export interface Phase extends Span {
  name: string;
  faults: string[];
  /** Does a submit scheduled then belong to it? */
  holds(scheduledMs: number): boolean;
}

/** What was going on when. */
export interface Timeline {
  /** Rows of submits by scheduled time. */
  order: Int32Array;
  drainStartMs: number;
  endMs: number;
  /** [inject, healed + grace] of every outage, united. */
  outages: Span[];
  /** The same of every fault, ambient ones too. */
  anyFault: Span[];
  clusters: Cluster[];
  phases: Phase[];
}

export function timelineOf({ plan, submits, faults, notes }: Tables): Timeline {
  const order = orderByTime(submits.length, row => submits.scheduledMs.get(row));
  const drainStartMs = notes.drainStartMs(plan.durationMs);
  const grace = { afterMs: plan.secondMs };
  const clusters = clustersOf(faults.outages, submits, order, drainStartMs);
  return {
    order,
    drainStartMs,
    endMs: notes.lastMs,
    outages: union(windowsOf(faults.outages, grace)),
    anyFault: union(windowsOf(faults.injected, grace)),
    clusters,
    phases: phasesOf(faults.injected, clusters, drainStartMs, Math.max(notes.lastMs, drainStartMs)),
  };
}

/** The first place in `order` whose submit was scheduled after a time. */
export function firstAfter(submits: Submits, order: Int32Array, ms: number): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (submits.scheduledMs.get(order[middle] as number) <= ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

function clustersOf(
  outages: readonly Injected[],
  submits: Submits,
  order: Int32Array,
  drainStartMs: number,
): Cluster[] {
  const groups: { faults: Injected[]; reachMs: number }[] = [];
  for (const fault of outages) {
    const row = order[firstAfter(submits, order, overMs(fault)) + windowSubmits - 1];
    const reachMs = row === undefined ? Number.POSITIVE_INFINITY : submits.scheduledMs.get(row);
    const last = groups.at(-1);
    if (!last || fault.injectMs > last.reachMs) groups.push({ faults: [fault], reachMs });
    else {
      last.faults.push(fault);
      last.reachMs = Math.max(last.reachMs, reachMs);
    }
  }
  return groups.map(({ faults }, n) => {
    const healedMs = Math.max(...faults.map(overMs));
    return {
      faults,
      injectMs: (faults[0] as Injected).injectMs,
      healedMs: Number.isFinite(healedMs) ? healedMs : null,
      untilMs: groups[n + 1]?.faults[0]?.injectMs ?? drainStartMs,
    };
  });
}

function phasesOf(
  faults: readonly Injected[],
  clusters: readonly Cluster[],
  drainMs: number,
  endMs: number,
): Phase[] {
  const firstMs = Math.min(faults[0]?.injectMs ?? Number.POSITIVE_INFINITY, drainMs);
  const none = faults.length === 0;
  return [
    phase('baseline', [], 0, firstMs, ms => ms < firstMs || (none && ms === firstMs)),
    ...faults.map(fault => {
      const [fromMs, toMs] = [fault.injectMs, Math.min(overMs(fault), endMs)];
      return phase(
        `during:${fault.planned.id}`,
        [fault.planned.id],
        fromMs,
        toMs,
        ms => ms >= fromMs && ms <= toMs,
      );
    }),
    ...clusters.flatMap(({ healedMs, untilMs, faults: cluster }) => {
      if (healedMs === null) return [];
      const ids = cluster.map(fault => fault.planned.id);
      return [
        phase(`recovery:${ids.join('+')}`, ids, healedMs, untilMs, ms => ms > healedMs && ms <= untilMs),
      ];
    }),
    phase('drain', [], drainMs, endMs, ms => ms > drainMs),
  ];
}

const phase = (
  name: string,
  faults: string[],
  fromMs: number,
  toMs: number,
  holds: (scheduledMs: number) => boolean,
): Phase => ({ name, faults, fromMs, toMs, holds });
