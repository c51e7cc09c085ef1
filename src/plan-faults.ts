import { durationMs } from './duration.ts';
import { type Fault, kindOf, type Need, needsOf, type Planned } from './faults/fault.ts';
import type { Problem } from './problems.ts';
import { scaleDurations } from './scaling.ts';
import type { Registries, Scenario } from './scenario.ts';

/** Why the world will not have it; `missing`: this machine has not what it takes. */
export type LackOf = (need: Need) => { why: string; missing: boolean } | null;

/** A fault on the timeline, in ms of the trial's clock. */
export interface PlannedFault {
  /** Unique in the plan: `restart-database-1`. */
  id: string;
  name: string;
  kind: 'outage' | 'ambient';
  atMs: number;
  /** When heal is called. */
  untilMs: number;
  settings: Record<string, unknown>;
  disturbsProbe: boolean;
}

/** A fault of the scenario as this trial will use it. */
export interface FaultUsed {
  path: string;
  fault: Fault;
  needs: readonly Need[];
  planned: PlannedFault;
}

/** What it needs and the world will not have. */
export function needProblems({ path, fault, needs }: FaultUsed, lackOf: LackOf = () => null): Problem[] {
  return needs.flatMap(need => {
    const lack = lackOf(need);
    if (!lack) return [];
    const instead = fault.instead ? `; instead: ${fault.instead}` : '';
    return [{ path, message: `${fault.name} ${lack.why}${instead}`, missing: lack.missing }];
  });
}

export function planFaults(
  scenario: Scenario,
  faults: Registries['faults'],
  speed: number,
  endMs: number,
): FaultUsed[] {
  const seen: Record<string, number> = {};
  return scenario.faults.map(({ at, until, fault: use }, n) => {
    const fault = faults[use.fault]!;
    const settings = scaleDurations(fault.settings, use.settings, speed);
    const given = settings as Planned<Fault['settings']>;
    seen[fault.name] = (seen[fault.name] ?? 0) + 1;
    const atMs = durationMs(at) / speed;
    const lasts = fault.lastsMs(given);
    const untilMs = until ? durationMs(until) / speed : lasts === null ? endMs : atMs + lasts;
    const { name, disturbsProbe } = fault;
    const id = `${name}-${seen[name]}`;
    const kind = kindOf(fault, given);
    const planned = { id, name, kind, atMs, untilMs, settings, disturbsProbe };
    return { path: `faults[${n}]`, fault, needs: needsOf(fault, given), planned };
  });
}
