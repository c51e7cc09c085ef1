import type { Fault, LedgerRecord } from '../ledger/record.ts';
import type { Plan, PlannedFault } from '../plan.ts';
import type { Span } from './spans.ts';

/** A planned fault and when it really happened. */
export interface FaultTimes {
  planned: PlannedFault;
  injectMs: number | null;
  effectiveMs: number | null;
  healCalledMs: number | null;
  lastFailedMs: number | null;
  healedMs: number | null;
  notHealed: boolean;
  line: number;
}

export class Faults {
  readonly all: FaultTimes[];
  #byId: Map<string, FaultTimes>;

  constructor(plan: Plan) {
    this.all = plan.faults.map(planned => ({
      planned,
      injectMs: null,
      effectiveMs: null,
      healCalledMs: null,
      lastFailedMs: null,
      healedMs: null,
      notHealed: false,
      line: -1,
    }));
    this.#byId = new Map(this.all.map(fault => [fault.planned.id, fault]));
  }

  add({ fault, ev, atMs, i }: LedgerRecord & Fault): void {
    const times = this.#byId.get(fault);
    if (!times) return;
    if (ev === 'inject') Object.assign(times, { injectMs: times.injectMs ?? atMs, line: i });
    if (ev === 'effective') times.effectiveMs ??= atMs;
    if (ev === 'heal-called') times.healCalledMs ??= atMs;
    if (ev === 'last-failed') times.lastFailedMs = atMs;
    if (ev === 'healed') times.healedMs ??= atMs;
    if (ev === 'not-healed') times.notHealed = true;
  }

  /** Those that were injected, in order. */
  get injected(): (FaultTimes & { injectMs: number })[] {
    const is = (fault: FaultTimes): fault is FaultTimes & { injectMs: number } => fault.injectMs !== null;
    return this.all.filter(is).sort((a, b) => a.injectMs - b.injectMs);
  }

  get outages(): (FaultTimes & { injectMs: number })[] {
    return this.injected.filter(fault => fault.planned.kind === 'outage');
  }
}

/** When it was over. An ambient fault has no probe: it is over when its heal was called. */
export function overMs(fault: FaultTimes): number {
  const { healedMs, healCalledMs, planned } = fault;
  if (planned.kind === 'ambient') return healedMs ?? healCalledMs ?? Number.POSITIVE_INFINITY;
  return healedMs ?? Number.POSITIVE_INFINITY;
}

/** [inject - before, over + after] of each. */
export const windowsOf = (
  faults: readonly (FaultTimes & { injectMs: number })[],
  { beforeMs = 0, afterMs = 0 } = {},
): Span[] => faults.map(fault => ({ fromMs: fault.injectMs - beforeMs, toMs: overMs(fault) + afterMs }));
