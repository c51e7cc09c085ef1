import { z } from 'zod';
import { countText } from '../metrics/format.ts';
import type { PhaseMetrics, TrialMetrics } from '../metrics/types.ts';
import type { Finding } from './check.ts';

/** A phase by its name, or by the part before the colon for all of that kind; absent: the whole trial. */
export const phaseSetting = { phase: z.string().optional() };

export interface Part extends Pick<PhaseMetrics, 'latency' | 'acquire' | 'connections' | 'memory'> {
  name: string | null;
}

function partsOf(metrics: TrialMetrics, phase: unknown): Part[] {
  const { latency, acquire, connections, memory } = metrics;
  if (phase === undefined) return [{ name: null, latency, acquire, connections, memory }];
  return metrics.phases.filter(({ name }) => name === phase || name.startsWith(`${String(phase)}:`));
}

export interface Measured {
  /** null: nothing to measure there. */
  value: number | null;
  text: string;
}

/** A number of each part against a limit; the worst part is told. */
export function judgeLimit(
  metrics: TrialMetrics,
  settings: Record<string, unknown>,
  { limit, limitText, of }: { limit: number; limitText: string; of(part: Part): Measured },
): Finding {
  const parts = partsOf(metrics, settings.phase);
  const measured = parts.map(part => ({ part, ...of(part) }));
  const known = measured.filter(({ value }) => value !== null) as (Measured & {
    part: Part;
    value: number;
  })[];
  const [worst] = known.sort((a, b) => b.value - a.value);
  if (!worst) return noData(parts.length, settings.phase, limit, measured[0]?.text);
  const { value, text, part } = worst;
  const where = part.name === null ? '' : ` in ${part.name}`;
  const verdict = value <= limit ? 'pass' : 'fail';
  return {
    verdict,
    because: `${text}${where}, at most ${limitText} allowed`,
    limit,
    seen: value,
    phase: part.name,
  };
}

function noData(parts: number, phase: unknown, limit: number, text = ''): Finding {
  const where =
    parts === 0
      ? `there is no phase "${String(phase)}"`
      : `nothing was measured in ${countText(parts, 'phase')}`;
  const because = text ? `${where}: ${text}` : where;
  return { verdict: 'unknown', because, limit, seen: null, phase: null, unknownBecause: 'no-data' };
}
