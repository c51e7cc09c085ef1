import { parseArgs } from 'node:util';
import { unguessable } from '../random.ts';

/** What toxiproxy-server's flags say, and two more for a program that starts us. */
export interface Flags {
  help: boolean;
  version: boolean;
  host: string;
  port: number;
  config: string | null;
  seed: string;
  proxyMetrics: boolean;
  runtimeMetrics: boolean;
  eventsFd: number | null;
  parentPipe: boolean;
}

const options = {
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '8474' },
  config: { type: 'string', default: '' },
  seed: { type: 'string' },
  'proxy-metrics': { type: 'boolean', default: false },
  'runtime-metrics': { type: 'boolean', default: false },
  'events-fd': { type: 'string' },
  'parent-pipe': { type: 'boolean', default: false },
} as const;

/** Throws what is wrong with them, in words for whoever typed them. */
export function parseFlags(argv: string[]): Flags {
  const { values } = parseArgs({ args: nodeFlags(argv), options });
  const fd = values['events-fd'];
  return {
    help: values.help,
    version: values.version,
    host: values.host,
    port: whole('-port', values.port, 0, 65_535),
    config: values.config === '' ? null : values.config,
    seed: values.seed ?? unguessable(6),
    proxyMetrics: values['proxy-metrics'],
    runtimeMetrics: values['runtime-metrics'],
    eventsFd: fd === undefined ? null : whole('--events-fd', fd, 1, 1023),
    parentPipe: values['parent-pipe'],
  };
}

/**
 * Go's flags as Node's parser takes them. Go: whole words after one dash too, -flag=true and -flag=false, and a value of
 * its own word may begin with a dash (-seed -5).
 */
function nodeFlags(argv: string[]): string[] {
  const words: string[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i]!;
    const [, name, value] = /^--?([a-z][a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    const type =
      name !== undefined && Object.hasOwn(options, name) && options[name as keyof typeof options].type;
    if (!type) words.push(name === undefined ? word : word.replace(/^--?/, '--'));
    else if (type === 'boolean') words.push(...switched(name, value));
    else if (value === undefined && i + 1 < argv.length) words.push(`--${name}=${argv[++i]}`);
    else words.push(value === undefined ? `--${name}` : `--${name}=${value}`);
  }
  return words;
}

function switched(name: string, value: string | undefined): string[] {
  if (value === undefined || ['true', 't', '1'].includes(value.toLowerCase())) return [`--${name}`];
  if (['false', 'f', '0'].includes(value.toLowerCase())) return [];
  throw new Error(`-${name}: expected true or false, got ${JSON.stringify(value)}`);
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${name}: expected a whole number from ${min} to ${max}, got ${JSON.stringify(text)}`);
}
