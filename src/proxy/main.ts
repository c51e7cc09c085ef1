/**
 * The fault proxy's process. In: Toxiproxy's HTTP API. Out: events, one JSON object a line, on `--events-fd`.
 * Exit codes: 0 asked to leave, 64 bad arguments, 69 the API's port cannot be had, 70 anything unexpected.
 */
import { createWriteStream, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { realClock } from '../clock.ts';
import { unguessable } from '../random.ts';
import type { Emit } from './events.ts';
import { startProxyServer } from './server.ts';

const eventBytesMax = 8 * 1024 * 1024;
const leaveLimitMs = 1000;

function leave(code: number, why?: unknown): never {
  if (why !== undefined) {
    const text = why instanceof Error ? (code === 70 ? withCauses(why) : why.message) : String(why);
    writeSync(2, `poolsoak proxy: ${text}\n`);
  }
  process.exit(code);
}

const withCauses = (error: Error): string =>
  `${error.stack ?? error.message}${error.cause instanceof Error ? `\ncaused by ${withCauses(error.cause)}` : ''}`;

interface Arguments {
  host: string;
  port: number;
  seed: string;
  eventsFd: number | null;
  parentPipe: boolean;
}

/** Go's flags have one dash, whole words too; Node's parser takes two. */
function parseArguments(argv: string[]): Arguments {
  const { values } = parseArgs({
    args: argv.map(word => (/^-[a-z][a-z-]+/.test(word) ? `-${word}` : word)),
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '8474' },
      seed: { type: 'string', default: unguessable(6) },
      'events-fd': { type: 'string' },
      'parent-pipe': { type: 'boolean', default: false },
    },
  });
  const { host, seed } = values;
  const fd = values['events-fd'];
  return {
    host,
    seed,
    port: whole('-port', values.port, 0, 65_535),
    eventsFd: fd === undefined ? null : whole('--events-fd', fd, 1, 1023),
    parentPipe: values['parent-pipe'],
  };
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${name}: expected a whole number from ${min} to ${max}, got ${JSON.stringify(text)}`);
}

/** Never blocks the links: what the reader does not take waits here, up to a limit. */
function eventWriter(fd: number): { emit: Emit; end: (done: () => void) => void } {
  const stream = createWriteStream('', { fd, autoClose: false });
  stream.on('error', error =>
    leave(70, new Error(`cannot write events to descriptor ${fd}`, { cause: error })),
  );
  return {
    emit(event) {
      stream.write(`${JSON.stringify(event)}\n`);
      if (stream.writableLength > eventBytesMax)
        leave(
          70,
          `events: at most ${eventBytesMax} bytes may wait for their reader, ${stream.writableLength} do`,
        );
    },
    end: done => void stream.end(done),
  };
}

function argumentsOrLeave(): Arguments {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    return leave(64, error);
  }
}

async function main(): Promise<void> {
  process.on('uncaughtException', error => leave(70, error));
  const { host, port, seed, eventsFd, parentPipe } = argumentsOrLeave();
  if (parentPipe) for (const gone of ['end', 'close', 'error']) process.stdin.on(gone, () => leave(0));
  if (parentPipe) process.stdin.resume();
  const events =
    eventsFd === null ? { emit: () => {}, end: (done: () => void) => done() } : eventWriter(eventsFd);
  const server = await startProxyServer({ host, port, seed, emit: events.emit }).catch(error =>
    leave(69, error),
  );
  const stop = () => {
    server.close();
    realClock.after(leaveLimitMs, () => leave(0));
    events.end(() => leave(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

await main();
