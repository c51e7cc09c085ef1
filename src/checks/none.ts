import { z } from 'zod';
import { linesText } from '../metrics/format.ts';
import type { Check, Finding } from './check.ts';
import { numberIn } from './check.ts';

/** Checks of the kind "none of this may happen". `max` is what a scenario may allow. */
export const noneAllowed = z.strictObject({ max: z.number().int().min(0).default(0) });

export const safety = {
  kind: 'safety',
  settings: noneAllowed,
  durations: [],
  byDefault: true,
} as const satisfies Partial<Check>;

export interface Seen {
  count: number;
  /** One of them, and several. */
  thing: readonly [string, string];
  lines: readonly number[] | undefined;
  /** Said beside a pass. */
  beside?: string;
  /** Said beside a fail: what is behind it. */
  hint?: string;
}

export function judgeNone(
  settings: Record<string, unknown>,
  { count, thing, lines, beside = '', hint = '' }: Seen,
): Finding {
  const max = numberIn(settings, 'max');
  const allowed = max === 0 ? 'none allowed' : `at most ${max} allowed`;
  const said = `${count} ${thing[count === 1 ? 0 : 1]}, ${allowed}`;
  if (count <= max) return { verdict: 'pass', because: `${said}${beside}`, limit: max, seen: count };
  return { verdict: 'fail', because: `${said}${linesText(lines)}${hint}`, limit: max, seen: count };
}
