import { StringDecoder } from 'node:string_decoder';
import type { ServerLogLine } from './world.ts';

/** PostgreSQL's log_line_prefix this parser is for: process, SQLSTATE, user. */
export const logLinePrefix = '[%p %e %u] ';

const textMax = 4_096;
const tailLines = 20;
const lineMax = 64 * 1024;

export interface ServerLog {
  write(chunk: Buffer): void;
  /** The last lines as they came, for error messages. */
  tail(): string;
  clear(): void;
}

/** A first line gives an entry, a line that begins with a tab belongs to the one before it. */
export function parseLogLine(line: string): ServerLogLine {
  const match = /^\[(\d+) ([0-9A-Z]{5}) (.*?)\] ([A-Z]+\d?): {2}(.*)$/.exec(line);
  if (!match)
    return { severity: 'LOG', sqlState: null, user: null, backend: null, text: line.slice(0, textMax) };
  const [, backend, state, user, severity, text] = match as unknown as string[];
  return {
    severity: severity!,
    sqlState: state === '00000' ? null : state!,
    user: user === '' ? null : user!,
    backend: Number(backend),
    text: text!.slice(0, textMax),
  };
}

/** Takes the server's standard error and gives `each` its entries. Long ones are cut at 4 KB. */
export function openServerLog(each: (line: ServerLogLine) => void): ServerLog {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let tail: string[] = [];
  let entry: ServerLogLine | null = null;
  const flush = (): void => {
    if (entry) each(entry);
    entry = null;
  };
  const take = (line: string): void => {
    tail = [...tail.slice(1 - tailLines), line.slice(0, textMax)];
    if (!line.startsWith('\t')) {
      flush();
      entry = parseLogLine(line);
    } else if (entry && entry.text.length < textMax)
      entry.text = `${entry.text}\n${line.slice(1)}`.slice(0, textMax);
  };
  return {
    write(chunk) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop()!.slice(0, lineMax);
      for (const line of lines) take(line);
      // The server writes an entry in one piece: none is held back to wait for more of it.
      flush();
    },
    tail: () => tail.join('\n'),
    clear: () => {
      tail = [];
    },
  };
}
