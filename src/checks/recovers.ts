import { z } from 'zod';
import { durationText } from '../metrics/format.ts';
import type { Recovery, RecoveryBracket, TrialMetrics } from '../metrics/types.ts';
import { type Check, durationSetting, type Finding, numberIn, unlessMachine } from './check.ts';

export const recovers: Check = {
  id: 'recovers',
  summary: 'it is well again within a time after every outage',
  kind: 'liveness',
  settings: z.strictObject({ within: durationSetting().default('60s') }),
  durations: ['within'],
  byDefault: true,
  needsRows: false,
  judge(metrics, settings, { plan }) {
    const withinMs = numberIn(settings, 'withinMs');
    const outages = plan.faults.filter(({ kind }) => kind === 'outage');
    if (outages.length === 0)
      return { verdict: 'pass', because: 'no outage to recover from', limit: withinMs, seen: null };
    const missing = outages.filter(({ id }) => !metrics.recovery.some(({ faults }) => faults.includes(id)));
    const found = [
      ...metrics.recovery.map(recovery => judgeOne(metrics, recovery, withinMs, plan.speed)),
      ...missing.map(({ id }) => noData(`${id} never happened`, withinMs)),
    ];
    return worst(found);
  },
};

function judgeOne(metrics: TrialMetrics, recovery: Recovery, withinMs: number, speed: number): Finding {
  if (recovery.unknownBecause !== null) return whyUnknown(metrics, recovery, withinMs);
  const of = (bracket: RecoveryBracket) => judgeBracket(bracket, recovery, withinMs, speed);
  return unlessMachine(metrics, of(recovery), of(recovery.best));
}

/** Pass when byMs is in time, fail when still bad after it or never well; else the submits are too few to say. */
function judgeBracket(
  { state, afterMs, byMs, relapses }: RecoveryBracket,
  { faults, submits }: Recovery,
  withinMs: number,
  speed: number,
): Finding {
  const text = (ms: number | null) => (ms === null ? '-' : durationText(ms, speed));
  const limit = `at most ${text(withinMs)} allowed`;
  const after = `after ${faults.join(' and ')}`;
  const verdict =
    byMs !== null && byMs <= withinMs
      ? 'pass'
      : state === 'never' || (afterMs !== null && afterMs > withinMs)
        ? 'fail'
        : 'unknown';
  const bad = afterMs === null ? '' : `, bad until ${text(afterMs)}`;
  const seen = {
    recovered: `well again between ${text(afterMs)} and ${text(byMs)} ${after}`,
    never: `never well again ${after}${bad}`,
    censored: `too few submits (${submits}) ${after} to say that it was well again${bad}`,
    unknown: `nothing to compare with ${after}`,
  }[state];
  const relapsed = relapses > 0 ? `; ${relapses} bad submits later on` : '';
  return {
    verdict,
    because: `${seen}, ${limit}${relapsed}`,
    limit: withinMs,
    seen: byMs ?? afterMs,
    ...(verdict === 'unknown' ? { unknownBecause: 'no-data' as const } : {}),
  };
}

function whyUnknown(
  { baseline }: TrialMetrics,
  { faults, unknownBecause }: Recovery,
  limit: number,
): Finding {
  const because =
    unknownBecause === 'not-healed'
      ? `${faults.join(' and ')} did not heal`
      : `nothing to compare with: ${baseline.unusable ?? 'no baseline'}`;
  return { verdict: 'unknown', because, limit, seen: null, unknownBecause: unknownBecause ?? 'no-data' };
}

const noData = (because: string, limit: number): Finding => ({
  verdict: 'unknown',
  because,
  limit,
  seen: null,
  unknownBecause: 'no-data',
});

/** One cluster that fails is a fail; of those that pass the slowest is told. */
function worst(found: readonly Finding[]): Finding {
  const rank = { pass: 0, unknown: 1, fail: 2 };
  const worse = (a: Finding, b: Finding) =>
    rank[b.verdict] - rank[a.verdict] || Number(b.seen) - Number(a.seen);
  return [...found].sort(worse)[0] as Finding;
}
