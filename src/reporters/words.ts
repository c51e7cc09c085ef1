/** How numbers and times are written for people. */

/** Control and escape characters, those that turn the direction of writing among them; tab and line end are none. */
export const controls =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Text from servers, workers and files of users: nothing of it may steer a terminal. */
export const clean = (text: string): string => text.replace(controls, '');

/** Scenario time: 205 ms at speed 20 is "4.1 s". */
export function time(ms: number | null, speed: number): string {
  if (ms === null) return '-';
  const scaled = ms * speed;
  if (scaled < 1000) return `${digits(scaled)} ms`;
  return scaled < 120_000 ? `${digits(scaled / 1000)} s` : `${digits(scaled / 60_000)} min`;
}

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : Number(value.toPrecision(2)).toString();

export const share = (part: number, whole: number): string =>
  whole === 0 ? '-' : `${digits((100 * part) / whole)} %`;

/** Wraps at `width`, with every line but the first indented. */
export function wrap(text: string, indent: string, width = 110): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > width - indent.length && line !== '') {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line].join(`\n${indent}`);
}
