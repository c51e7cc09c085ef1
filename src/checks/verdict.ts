import { blindingOver } from '../metrics/distortion.ts';
import { shareText } from '../metrics/format.ts';
import type { TrialMetrics, UnknownReason } from '../metrics/types.ts';
import type { Plan } from '../plan.ts';
import type { Check, Finding, JudgeContext, Judgement, Verdict } from './check.ts';
import * as barrel from './index.ts';

const registry = new Map<string, Check>(
  Object.values(barrel as Record<string, Check>).map(check => [check.id, check]),
);

/** fail > unknown > pass; of nothing nothing is known. */
export function worstOf(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('fail')) return 'fail';
  return verdicts.length === 0 || verdicts.includes('unknown') ? 'unknown' : 'pass';
}

/** The reasons why a trial was no fair one: they take liveness away, and never excuse what is unsafe. */
const unfair: readonly UnknownReason[] = [
  'not-healed',
  'interrupted',
  'guardian-lost',
  'proxy-lost',
  'server-lost',
];
const rowless: readonly UnknownReason[] = ['no-data', 'counts-differ'];

const inWords: Record<UnknownReason, string> = {
  machine: 'the machine was too slow',
  compression: 'the speed is too high for this machine',
  baseline: 'there is no usable baseline',
  'not-healed': 'a fault did not heal',
  'counts-differ': 'a step of the final read failed, or its counts differ',
  interrupted: 'the trial was cut short',
  'guardian-lost': 'the guardian process was lost',
  'proxy-lost': 'the fault proxy was lost',
  'server-lost': 'the database server was lost, and no fault did it',
  'no-ack': 'not a single submit was acked',
  'no-data': 'the rows were not read at the end',
};

export interface TrialVerdict {
  verdict: Verdict;
  unknownBecause: UnknownReason[];
  checks: Judgement[];
}

/** Numbers -> the verdict of a trial. `checks`: for tests; else all there are. */
export function judge(plan: Plan, metrics: TrialMetrics, checks = registry): TrialVerdict {
  const judgements = plan.checks.map(({ id, settings }) => {
    const check = checks.get(id);
    return check ? judgeSafely(check, settings, metrics, { plan }) : unheardOf(id);
  });
  const reasons = new Set([
    ...metrics.trouble,
    ...judgements.flatMap(({ unknownBecause }) => unknownBecause ?? []),
  ]);
  if (judgements.length === 0) reasons.add('no-data');
  return { verdict: verdictOf(metrics, judgements), unknownBecause: [...reasons], checks: judgements };
}

function verdictOf({ trouble }: TrialMetrics, judgements: readonly Judgement[]): Verdict {
  const worst = worstOf(judgements.map(({ verdict }) => verdict));
  const unsafe = judgements.some(({ kind, verdict }) => kind === 'safety' && verdict === 'fail');
  // Nobody was served at all: that says more about the set-up than about waiting times.
  if (trouble.includes('no-ack')) return unsafe ? 'fail' : 'unknown';
  return worst === 'pass' && trouble.length > 0 ? 'unknown' : worst;
}

/** A check that throws is unknown, with what it threw; so is one that the trial gives nothing to judge by. */
export function judgeSafely(
  check: Check,
  settings: Record<string, unknown>,
  metrics: TrialMetrics,
  context: JudgeContext,
): Judgement {
  try {
    return judgement(check, beforehand(check, metrics) ?? check.judge(metrics, settings, context));
  } catch (error) {
    const because = `the check itself failed: ${error instanceof Error ? error.message : String(error)}`;
    return judgement(check, unknown(because, 'no-data'));
  }
}

function beforehand({ kind, needsRows }: Check, metrics: TrialMetrics): Finding | null {
  const { trouble, harness } = metrics;
  const rows = needsRows ? trouble.find(reason => rowless.includes(reason)) : undefined;
  if (rows) return unknown(inWords[rows], rows);
  if (kind === 'safety') return null;
  const reason = trouble.find(it => unfair.includes(it));
  if (reason) return unknown(inWords[reason], reason);
  const [worst] = harness.distortion.filter(({ share }) => share > blindingOver);
  if (!worst) return null;
  const { what, against, share } = worst;
  return unknown(
    `the speed is too high for this machine: ${what}, which it cannot scale, took ${shareText(share)} of the ${against}, at most ${shareText(blindingOver)} allowed: let nothing else run, or lower --speed`,
    'compression',
  );
}

const unknown = (because: string, unknownBecause: UnknownReason): Finding => ({
  verdict: 'unknown',
  because,
  limit: null,
  seen: null,
  unknownBecause,
});

const judgement = ({ id, kind }: Check, finding: Finding): Judgement => ({
  name: id,
  kind,
  verdict: finding.verdict,
  because: finding.because,
  limit: finding.limit,
  seen: finding.seen,
  phase: finding.phase ?? null,
  unknownBecause: finding.verdict === 'unknown' ? (finding.unknownBecause ?? 'no-data') : null,
});

const unheardOf = (id: string): Judgement => ({
  name: id,
  kind: 'safety',
  verdict: 'unknown',
  because: `there is no check "${id}"; there are ${[...registry.keys()].join(', ')}`,
  limit: null,
  seen: null,
  phase: null,
  unknownBecause: 'no-data',
});
