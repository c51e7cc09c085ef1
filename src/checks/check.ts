import { z } from 'zod';
import { durationRule, parseDuration } from '../duration.ts';
import type { TrialMetrics, UnknownReason } from '../metrics/types.ts';
import type { Plan } from '../plan.ts';

export type Verdict = 'pass' | 'fail' | 'unknown';

/** What a check found. `because` is read by somebody who is tired: what was seen, the limit, what is behind it. */
export interface Finding {
  verdict: Verdict;
  because: string;
  /** The limit it was held against, and what was seen; numbers of the trial's ms where they are times. */
  limit: number | string | null;
  seen: number | string | null;
  /** The phase it looked at; null: all of the trial. */
  phase?: string | null;
  unknownBecause?: UnknownReason;
}

/** A finding with its check's id, as it stands in result.json. */
export interface Judgement {
  name: string;
  kind: 'safety' | 'liveness';
  verdict: Verdict;
  because: string;
  limit: number | string | null;
  seen: number | string | null;
  phase: string | null;
  unknownBecause: UnknownReason | null;
}

export interface JudgeContext {
  plan: Plan;
}

/**
 * A claim about a trial. Settings are written in a scenario as the schema says; those named in `durations`
 * are strings there ("60s"). They reach `judge` already scaled: as numbers of the trial's ms, under their name
 * with "Ms" behind it, the name as written being gone: at speed 20, `within: '60s'` is `withinMs: 3000`.
 */
export interface Check {
  id: string;
  /** One line for `poolsoak list`. */
  summary: string;
  /** Safety: nothing wrong was done. Liveness: the right thing was done in time, which a slow machine can spoil. */
  kind: 'safety' | 'liveness';
  settings: z.ZodObject;
  durations: readonly string[];
  /** Judged in every trial, whether the scenario names it or not. */
  byDefault: boolean;
  /** Judged by the rows that were read at the end: says nothing when they were not, or changed meanwhile. */
  needsRows: boolean;
  judge(metrics: TrialMetrics, settings: Record<string, unknown>, context: JudgeContext): Finding;
}

/** A duration in a scenario. */
export const durationSetting = () =>
  z.string().refine(text => parseDuration(text) !== null, { error: `must be ${durationRule}` });

/** A setting that must be a number; anything else is the caller's bug, and the check unknown. */
export function numberIn(settings: Record<string, unknown>, name: string): number {
  const value = settings[name];
  if (typeof value !== 'number')
    throw new Error(`setting "${name}" is ${JSON.stringify(value)}, not a number`);
  return value;
}

/** More of the machine's doing than this, and it is asked whether it decides. */
export const spoiltShareMax = 0.01;

/**
 * What holds with everything counted and with what the machine spoilt forgiven, holds. Where they differ a
 * few spoilt submits are no evidence against the candidate, and many leave it unknown.
 */
export function unlessMachine({ harness, writes }: TrialMetrics, asSeen: Finding, best: Finding): Finding {
  if (asSeen.verdict === best.verdict) return asSeen;
  if (harness.spoiltShare <= spoiltShareMax) return best;
  const spoilt = `the machine was too slow for ${writes.spoilt} of ${writes.scheduled} submits, and they decide`;
  return {
    ...asSeen,
    verdict: 'unknown',
    because: `${spoilt}: ${asSeen.because}`,
    unknownBecause: 'machine',
  };
}
