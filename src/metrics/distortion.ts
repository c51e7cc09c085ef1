import { round3, type Spread } from './histogram.ts';
import type { Tables } from './tables.ts';
import type { Distortion } from './types.ts';

/** Under this a cost that does not scale is not worth a word. */
const printedOver = 0.05;
/** Over this, waiting times and recoveries say more about the compression than about the candidate. */
export const blindingOver = 0.2;

/** What `--speed` could not scale, against the shortest scaled duration it races with. `connect`: once warm. */
export function distortionOf(tables: Tables, connect: Spread): Distortion[] {
  if (tables.plan.speed <= 1) return [];
  const all = [connecting(tables, connect), restarting(tables), looping(tables), reaping(tables)];
  return all.filter(found => found !== null && found.share > printedOver) as Distortion[];
}

/** A cost and what it races with; null when either is not there. */
function race(
  what: Distortion['what'],
  costMs: number | null,
  rivals: { against: string; againstMs: number | null }[],
): Distortion | null {
  const [tightest] = rivals
    .flatMap(({ against, againstMs }) =>
      againstMs !== null && againstMs > 0 ? [{ against, againstMs }] : [],
    )
    .sort((a, b) => a.againstMs - b.againstMs);
  if (costMs === null || !tightest) return null;
  const { against, againstMs } = tightest;
  return { what, costMs: round3(costMs), against, againstMs: round3(againstMs), share: costMs / againstMs };
}

const connecting = ({ plan }: Tables, connect: Spread): Distortion | null =>
  race('connect', connect.steadyPercentileMs(0.95), [
    { against: 'patience', againstMs: plan.patienceMs },
    { against: 'acquire timeout', againstMs: plan.candidateSpec.acquireTimeoutMs },
  ]);

/** How much longer an outage lasted than planned: to stop, to start, to answer again. */
function restarting({ faults }: Tables): Distortion | null {
  const each = faults.outages.map(({ planned, injectMs, healedMs }) => {
    const plannedMs = planned.untilMs - planned.atMs;
    const costMs = healedMs === null ? null : Math.max(0, healedMs - injectMs - plannedMs);
    return race('restart', costMs, [{ against: `down time of ${planned.id}`, againstMs: plannedMs }]);
  });
  return each.reduce((worst, one) => (one && one.share > (worst?.share ?? -1) ? one : worst), null);
}

/** `after`: the idle limit of a fault that ends idle connections. */
function looping({ faults, vitals }: Tables): Distortion | null {
  const limits = faults.injected.flatMap(({ planned }) => {
    const { after } = planned.settings;
    return typeof after === 'number' ? [{ against: `idle limit of ${planned.id}`, againstMs: after }] : [];
  });
  return race('loop-delay', vitals.workerLoop.rawPercentileMs(0.99), limits);
}

/** Whatever a pool calls its idle timeout; a transaction's is the server's, and a number of idle ones is no time. */
function reaping({ plan }: Tables): Distortion | null {
  const { reaperMs, settings } = plan.candidateSpec;
  const idle = Object.entries(settings).flatMap(([knob, value]) => {
    const is = /idle.?time/i.test(knob) && !/transaction/i.test(knob) && typeof value === 'number';
    return is ? [{ against: knob, againstMs: value }] : [];
  });
  return race('reaper', reaperMs, idle);
}
