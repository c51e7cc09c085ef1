/** Durations as people write them: a number and its unit, "250ms", "30s", "20m", "8h". */
export const durationMsMax = 7 * 24 * 3600 * 1000;

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

export const durationRule = 'a number and its unit (ms, s, m or h), such as "30s", at most "168h"';

/** Milliseconds, or null when it is no duration. Negative ones are none. */
export function parseDuration(text: unknown): number | null {
  if (typeof text !== 'string') return null;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  if (!match) return null;
  const ms = Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
  return ms <= durationMsMax ? ms : null;
}

/** For durations that were validated before. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new Error(`"${text}" is no duration: ${durationRule}`);
  return ms;
}
