/** How numbers are put in words; the one place that multiplies times by the speed. */

/** "4.1 s (205 ms x20)": the scenario's time, and what was really measured. */
export function durationText(ms: number, speed: number): string {
  return speed === 1 ? plainDuration(ms) : `${plainDuration(ms * speed)} (${plainDuration(ms)} x${speed})`;
}

function plainDuration(ms: number): string {
  if (ms < 999.5) return `${digits(ms)} ms`;
  if (ms < 120_000) return `${digits(ms / 1000)} s`;
  return ms < 7_200_000 ? `${digits(ms / 60_000)} min` : `${digits(ms / 3_600_000)} h`;
}

/** Three digits are more than any of this is worth. */
const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : Number(value.toPrecision(value < 1 ? 2 : 3)).toString();

export const shareText = (share: number): string => `${digits(share * 100)} %`;

/** "1 submit", "3 submits". */
export const countText = (count: number, thing: string): string =>
  `${count} ${thing}${count === 1 ? '' : 's'}`;

/** "(ledger lines 13, 41)": where to look; nothing without any. Editors count lines from 1, records from 0. */
export const linesText = (lines: readonly number[] | undefined): string =>
  lines && lines.length > 0
    ? ` (ledger line${lines.length === 1 ? '' : 's'} ${lines.map(i => i + 1).join(', ')})`
    : '';
