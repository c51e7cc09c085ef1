/**
 * The fault proxy as a process. In: Toxiproxy's HTTP API. Out: where it listens, on standard output; with `--events-fd`
 * events instead, one JSON object a line, on that descriptor.
 * Exit codes: 0 asked to leave, 64 bad flags or config, 69 a port cannot be had, 70 anything unexpected.
 */
import { createWriteStream, readFileSync, writeSync } from 'node:fs';
import { realClock } from '../clock.ts';
import type { Emit } from './events.ts';
import { type Flags, parseFlags } from './flags.ts';
import { proxyHelp } from './help.ts';
import { apiVersion } from './routes.ts';
import { type ProxyServer, startProxyServer } from './server.ts';
import { populationOf } from './wanted.ts';

const eventBytesMax = 8 * 1024 * 1024;
const leaveLimitMs = 1000;

/** Ends this process, with the reason on standard error. */
export function leave(code: number, why?: unknown): never {
  if (why !== undefined) {
    const text = why instanceof Error ? (code === 70 ? withCauses(why) : why.message) : String(why);
    say(2, `poolsoak proxy: ${text}\n`);
  }
  process.exit(code);
}

const withCauses = (error: Error): string =>
  `${error.stack ?? error.message}${error.cause instanceof Error ? `\ncaused by ${withCauses(error.cause)}` : ''}`;

/** At once, since the process may end with it. Whoever reads us may have left: that ends the talking, not the proxy. */
function say(descriptor: 1 | 2, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {}
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

function orUsageError<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    return leave(64, error);
  }
}

/** The proxies of a config file, found valid. */
function population(file: string): unknown {
  try {
    const list: unknown = JSON.parse(readFileSync(file, 'utf8'));
    populationOf(list);
    return list;
  } catch (error) {
    throw new Error(`-config ${file}: ${(error as Error).message}`);
  }
}

function announce({ host, port, proxies }: ProxyServer, seed: string): void {
  const lines = proxies.all().map(({ name, settings: { listen, upstream, enabled } }) => {
    return `${name}: ${listen} -> ${upstream}${enabled ? '' : ' (disabled)'}`;
  });
  const api = `API on http://${host.includes(':') ? `[${host}]` : host}:${port}, seed ${seed}`;
  say(1, [api, ...lines].map(line => `poolsoak proxy: ${line}\n`).join(''));
}

/** Runs until it is told to leave, and ends the process then. */
export async function runProxy(argv: string[]): Promise<never> {
  const flags = orUsageError(() => parseFlags(argv));
  if (flags.help) say(1, proxyHelp);
  else if (flags.version) say(1, `poolsoak proxy version ${apiVersion}\n`);
  if (flags.help || flags.version) leave(0);
  const { parentPipe, eventsFd } = flags;
  if (parentPipe) for (const gone of ['end', 'close', 'error']) process.stdin.on(gone, () => leave(0));
  if (parentPipe) process.stdin.resume();
  const events =
    eventsFd === null ? { emit: () => {}, end: (done: () => void) => done() } : eventWriter(eventsFd);
  const server = await serve(flags, events.emit);
  if (eventsFd === null) announce(server, flags.seed);
  const stop = () => {
    server.close();
    realClock.after(leaveLimitMs, () => leave(0));
    events.end(() => leave(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  return new Promise(() => {});
}

function serve(flags: Flags, emit: Emit): Promise<ProxyServer> {
  const { host, port, seed, config, proxyMetrics, runtimeMetrics } = flags;
  const begin = config === null ? [] : orUsageError(() => population(config));
  const metrics = { proxy: proxyMetrics, runtime: runtimeMetrics };
  return startProxyServer({ host, port, seed, emit, metrics, population: begin }).catch(error =>
    leave(69, error),
  );
}
