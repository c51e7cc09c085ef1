import { durationMs } from './duration.ts';
import { type Fault, isDuration } from './faults/fault.ts';
import type { Endpoint, Knob, PoolAdapter } from './pools/pool.ts';
import type { Problem } from './problems.ts';
import type { Candidate, Registries } from './scenario.ts';

/** Durations become numbers of the trial's ms under the same name. */
export function scaleDurations(
  schema: Fault['settings'],
  given: Record<string, unknown>,
  speed: number,
): Record<string, unknown> {
  const all = schema.parse(given) as Record<string, unknown>;
  const scale = ([key, value]: [string, unknown]) =>
    isDuration(schema.shape[key]) ? [key, durationMs(value as string) / speed] : [key, value];
  return Object.fromEntries(Object.entries(all).map(scale));
}

export function scaleCheck(
  check: Registries['checks'][string],
  given: object,
  speed: number,
): Record<string, unknown> {
  const all = check.settings.parse(given) as Record<string, unknown>;
  const scale = ([key, value]: [string, unknown]) =>
    check.durations.includes(key) && typeof value === 'string'
      ? [`${key}Ms`, durationMs(value) / speed]
      : [key, value];
  return Object.fromEntries(Object.entries(all).map(scale));
}

export function scaleSettings(
  adapter: PoolAdapter,
  given: Record<string, unknown>,
  speed: number,
): Record<string, unknown> {
  const all = adapter.settings.parse(given) as Record<string, unknown>;
  const scale = ([key, value]: [string, unknown]) => {
    const knob = adapter.knobs[key];
    return typeof value === 'number' && knob?.scales ? [key, scaleKnob(value, knob, speed)] : [key, value];
  };
  return Object.fromEntries(Object.entries(all).map(scale));
}

/** 0 is "off" everywhere and stays so; otherwise at least one step of the knob. */
function scaleKnob(value: number, { unitMs = 1, granularityMs = 1 }: Knob, speed: number): number {
  if (value === 0) return 0;
  const ms = (value * unitMs) / speed;
  return (Math.max(1, Math.round(ms / granularityMs)) * granularityMs) / unitMs;
}

/** Knobs that this speed would take below what they can do. */
export function speedProblems(
  path: string,
  adapter: PoolAdapter,
  given: Record<string, unknown>,
  speed: number,
): Problem[] {
  const all = adapter.settings.parse(given) as Record<string, unknown>;
  return Object.entries(all).flatMap(([key, value]) => {
    const knob = adapter.knobs[key];
    if (typeof value !== 'number' || value === 0 || !knob?.scales || knob.realFloorMs === undefined)
      return [];
    const ms = value * (knob.unitMs ?? 1);
    return underFloor(`${path}.${key}`, value, ms, knob.realFloorMs, speed);
  });
}

/** Timers of the server and of Node are a few ms off, so a shorter one would measure the timer. */
const timerFloorMs = 20;

/** MySQL and MariaDB count a lock timeout in whole seconds. */
const lockFloorsMs = { postgres: timerFloorMs, mariadb: 1000, mysql: 1000 };

/** The same for the habits that are timers. */
export function habitFloors(
  path: string,
  { app: { statementTimeout, retry } }: Candidate,
  engine: Endpoint['engine'],
  speed: number,
): Problem[] {
  // Nobody else waits for a lock by this habit.
  const lockTimeout = retry?.idempotency === 'key-table' ? retry.lockTimeout : undefined;
  const timers: [string, string | undefined, number][] = [
    ['statementTimeout', statementTimeout, timerFloorMs],
    ['retry.lockTimeout', lockTimeout, lockFloorsMs[engine]],
  ];
  return timers.flatMap(([habit, text, floorMs]) =>
    text ? underFloor(`${path}.${habit}`, text, durationMs(text), floorMs, speed) : [],
  );
}

function underFloor(
  path: string,
  written: number | string,
  ms: number,
  floorMs: number,
  speed: number,
): Problem[] {
  if (ms / speed >= floorMs) return [];
  const largest = Math.floor(ms / floorMs);
  const real = Math.round((ms / speed) * 10) / 10;
  const cure = largest >= 1 ? `the largest speed that works is ${largest}` : 'no speed works for it';
  return [
    {
      path,
      message: `${written} is ${real} ms real at speed ${speed}, under its floor of ${floorMs} ms; ${cure}`,
    },
  ];
}
