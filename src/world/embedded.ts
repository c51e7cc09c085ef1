import type { ChildProcess } from 'node:child_process';
import { type Clock, waitUntil, within } from '../clock.ts';
import { UsageError } from '../failure.ts';
import type { ProcessId } from '../guardian/journal.ts';
import { isAlive, processTable, signalProcess } from '../guardian/processes.ts';
import type { Cluster } from './cluster.ts';
import { openServerLog, type ServerLog } from './server-log.ts';
import type { ServerControl, ServerLogLine, StopHow } from './world.ts';

/** PostgreSQL as a child of ours: `postgres` itself, without pg_ctl, so that its pid and exit are ours to see. */
export interface EmbeddedServer extends Omit<ServerControl, 'start'> {
  /** Resolves when `accepts` does. Rejects with the log's tail when the server ends or 30 s have passed. */
  start(accepts: () => Promise<unknown>): Promise<void>;
  running(): boolean;
}

export interface OpenEmbedded {
  clock: Clock;
  cluster: Cluster;
  port: number;
  serverLog(line: ServerLogLine): void;
  lost(detail: string): void;
}

interface Running {
  child: ChildProcess;
  log: ServerLog;
  /** How it ended; also when it never began. */
  exited: Promise<string>;
  ended: boolean;
  /** It has not yet accepted a connection: its end is a failed start. */
  starting: boolean;
  /** Its end is wanted. */
  asked: boolean;
  /** Its children when it was killed. */
  orphans: ProcessId[];
}

const startLimitMs = 30_000;
const acceptPollMs = 10;
const goneLimitMs = 5_000;
const stops: Record<StopHow, { signal: NodeJS.Signals; limitMs: number }> = {
  fast: { signal: 'SIGINT', limitMs: 30_000 },
  immediate: { signal: 'SIGQUIT', limitMs: 10_000 },
  kill: { signal: 'SIGKILL', limitMs: 5_000 },
};
const endings: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGKILL', 'SIGABRT'];

export class PortTakenError extends Error {
  override name = 'PortTakenError';
}

function launch({ cluster, port, serverLog, lost }: OpenEmbedded): Running {
  const child = cluster.spawn('postgres', 'postgres', ['-D', cluster.data, '-p', String(port)]);
  const log = openServerLog(serverLog);
  child.stderr!.on('data', chunk => log.write(chunk));
  child.stdout!.resume();
  const exited = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const running: Running = { child, log, exited, ended: false, starting: true, asked: false, orphans: [] };
  void exited.then(how => {
    running.ended = true;
    if (!running.asked && !running.starting) lost(`PostgreSQL ended unasked (${how}): ${log.tail()}`);
  });
  return running;
}

/** Polls until the server takes a connection. Its end before that is a failed start, not a loss. */
async function untilAccepting(
  running: Running,
  accepts: () => Promise<unknown>,
  clock: Clock,
): Promise<void> {
  const met = async (): Promise<boolean> =>
    running.ended ||
    (await accepts().then(
      () => true,
      () => false,
    ));
  const waited = await waitUntil(clock, met, { everyMs: acceptPollMs, limitMs: startLimitMs });
  if (waited === 'met' && !running.ended) {
    running.starting = false;
    return;
  }
  running.child.kill('SIGKILL');
  const how = await within(clock, goneLimitMs, running.exited, 'still there');
  const tail = running.log.tail();
  const text = `PostgreSQL did not start (${waited === 'met' ? how : `not within ${startLimitMs} ms`}): ${tail}`;
  if (tail.includes('Address already in use')) throw new PortTakenError(text);
  throw /unrecognized configuration parameter|invalid value for parameter/.test(tail)
    ? new UsageError(`server.settings: ${text}`)
    : new Error(text);
}

/**
 * Those who lose their server to SIGKILL notice within moments and leave. Until they have, their shared memory
 * keeps a new server from starting.
 */
async function untilOrphansGone(orphans: ProcessId[], clock: Clock): Promise<void> {
  const gone = (): boolean => !orphans.some(isAlive);
  const waited = await waitUntil(clock, gone, { everyMs: 5, limitMs: goneLimitMs });
  if (waited === 'met') return;
  for (const orphan of orphans) signalProcess(orphan, 'SIGKILL');
  const then = await waitUntil(clock, gone, { everyMs: 5, limitMs: goneLimitMs });
  if (then !== 'met') throw new Error('processes of the killed PostgreSQL do not end');
}

/** Sends it; noted first is what must be known afterwards. */
function send(running: Running, signal: NodeJS.Signals): void {
  if (signal === 'SIGKILL') running.orphans = childrenOf(running.child.pid);
  if (endings.includes(signal)) running.asked = true;
  running.child.kill(signal);
}

async function untilGone(running: Running, what: string, limitMs: number, clock: Clock): Promise<void> {
  const ended = await within(clock, limitMs, running.exited, null);
  if (ended === null)
    throw new Error(`PostgreSQL did not ${what} within ${limitMs} ms: ${running.log.tail()}`);
  await untilOrphansGone(running.orphans, clock);
}

async function stopProcess(running: Running, how: StopHow, clock: Clock): Promise<void> {
  const { signal, limitMs } = stops[how];
  send(running, signal);
  // A paused server would sleep on the order to stop.
  if (how !== 'kill') running.child.kill('SIGCONT');
  await untilGone(running, `stop (${how})`, limitMs, clock);
}

const childrenOf = (pid: number | undefined): ProcessId[] =>
  [...processTable().values()].filter(fact => fact.ppid === pid);

export function embeddedServer(options: OpenEmbedded): EmbeddedServer {
  const { clock } = options;
  let running: Running | null = null;
  return {
    running: () => running !== null && !running.ended,
    async start(accepts) {
      // Its end may have been asked for by a signal, which waits for nothing.
      if (running?.asked) await untilGone(running, 'end', goneLimitMs, clock);
      if (running && !running.ended) throw new Error('PostgreSQL is running already');
      running = launch(options);
      await untilAccepting(running, accepts, clock);
    },
    async stop(how) {
      if (running && !running.ended) await stopProcess(running, how, clock);
    },
    signal(signal) {
      if (running && !running.ended) send(running, signal);
    },
  };
}
