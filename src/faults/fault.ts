import { z } from 'zod';
import { durationRule, parseDuration } from '../duration.ts';
import type { Need, World } from '../world/world.ts';

export type { Need };

/** outage: the service is gone for a while. ambient: it is there, conditions are bad. */
export type FaultKind = 'outage' | 'ambient';

/** A fault as a scenario states it. */
export interface FaultUse {
  fault: string;
  settings: Record<string, unknown>;
}

export interface Fault<S extends z.ZodObject = z.ZodObject> {
  name: string;
  /** One line for `poolsoak list`. */
  summary: string;
  /** By its settings, where these decide. */
  kind: FaultKind | ((settings: Planned<S>) => FaultKind);
  /** Settings as a scenario writes them; those made by `duration()` are strings and scale with the speed. */
  settings: S;
  /** As a scenario might write it; for the docs, and for the suite that tries every fault. */
  example: z.input<S>;
  /** By its settings, where these decide. */
  needs: readonly Need[] | ((settings: Planned<S>) => readonly Need[]);
  /** What to use where it cannot be had. */
  instead?: string;
  /** A healthy SELECT 1 is slower or fails while it lasts, so the machine cannot be judged by one. */
  disturbsProbe: boolean;
  /** How long it lasts by its own settings (scaled ms); null: until the timeline says. */
  lastsMs(settings: Planned<S>): number | null;
  /** `id` names this fault in the plan, and its toxics. */
  inject(world: World, id: string, settings: Planned<S>, signal: AbortSignal): Promise<Heal>;
}
export type Heal = () => Promise<void>;

/** Settings as the plan hands them over: durations (written as strings) are numbers, scaled ms. */
export type Planned<S extends z.ZodObject> = {
  [K in keyof z.output<S>]: string extends z.output<S>[K] ? number : z.output<S>[K];
};

/** A fault is used in a scenario by calling it: `restartDatabase({ how: 'fast', down: '60s' })`. */
export interface FaultFactory<S extends z.ZodObject = z.ZodObject> {
  (settings: z.input<S>): FaultUse;
  fault: Fault<S>;
}

export const kindOf = <S extends z.ZodObject>({ kind }: Fault<S>, settings: Planned<S>): FaultKind =>
  typeof kind === 'function' ? kind(settings) : kind;

export const needsOf = <S extends z.ZodObject>({ needs }: Fault<S>, settings: Planned<S>): readonly Need[] =>
  typeof needs === 'function' ? needs(settings) : needs;

export function defineFault<S extends z.ZodObject>(fault: Fault<S>): FaultFactory<S> {
  const use = (settings: z.input<S>): FaultUse => ({ fault: fault.name, settings });
  return Object.assign(use, { fault });
}

const durations = new WeakSet<object>();

/** A setting that is a duration. */
export function duration(): z.ZodString;
export function duration(fallback: string): z.ZodDefault<z.ZodString>;
export function duration(fallback?: string): z.ZodString | z.ZodDefault<z.ZodString> {
  const text = z
    .string()
    .refine(value => parseDuration(value) !== null, { error: `must be ${durationRule}` });
  const schema = fallback === undefined ? text : text.default(fallback);
  durations.add(schema);
  return schema;
}

export const isDuration = (schema: object | undefined): boolean =>
  schema !== undefined && durations.has(schema);
