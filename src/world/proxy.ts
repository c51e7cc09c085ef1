import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Proxy as Remote, type ToxicType, Toxiproxy } from 'toxiproxy-node-client';
import { type Clock, within } from '../clock.ts';
import { builtFile } from '../guardian/built.ts';
import type { Guardian } from '../guardian/guardian.ts';
import type { LinkKill, ProxyControl } from './world.ts';

/** The fault proxy, a process of its own, with one proxy on it: clients -> proxy -> server. */
export interface FaultProxy {
  control: ProxyControl;
  host: string;
  /** Where clients connect. */
  port: number;
  close(): Promise<void>;
}

export interface OpenProxy {
  clock: Clock;
  guardian: Guardian;
  seed: number;
  upstreamPort: number;
  kill(kill: LinkKill): void;
  lost(detail: string): void;
}

const host = '127.0.0.1';
const startLimitMs = 10_000;
const callLimitMs = 5_000;
const leaveLimitMs = 1_000;
const errorTail = 2_000;

type ProxyEvent =
  | { ev: 'listening'; host: string; port: number }
  | ({ ev: 'kill' } & LinkKill)
  | { ev: string };

interface ProxyProcess {
  child: ChildProcess;
  listening: Promise<number>;
  /** How it ended, with the end of what it said on standard error. */
  exited: Promise<string>;
}

function readEvents(child: ChildProcess, each: (event: ProxyEvent) => void): void {
  const lines = createInterface({ input: child.stdio[3] as Readable });
  lines.on('line', line => {
    try {
      each(JSON.parse(line) as ProxyEvent);
    } catch {
      // Half a line of a proxy that is being killed.
    }
  });
  lines.on('error', () => {});
}

function watchExit(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr!.on('data', chunk => {
    said = (said + chunk).slice(-errorTail);
  });
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(`${signal ?? `exit code ${code}`}${said && `: ${said.trim()}`}`),
    );
  });
}

function startProcess({ guardian, seed, kill }: OpenProxy): ProxyProcess {
  const main = builtFile(import.meta.url, '../proxy/main.js');
  const args = [
    main,
    '-host',
    host,
    '-port',
    '0',
    '-seed',
    String(seed),
    '--events-fd',
    '3',
    '--parent-pipe',
  ];
  const stdio = ['pipe', 'ignore', 'pipe', 'pipe'] as const;
  const child = guardian.spawn('fault proxy', process.execPath, args, { stdio: [...stdio], cwd: '/' });
  child.stdin!.on('error', () => {});
  const exited = watchExit(child);
  const listening = new Promise<number>(resolve => {
    readEvents(child, event => {
      if (event.ev === 'listening') resolve((event as { port: number }).port);
      if (event.ev === 'kill') kill(event as LinkKill & { ev: string });
    });
  });
  return { child, listening, exited };
}

async function apiPort({ listening, exited }: ProxyProcess, clock: Clock): Promise<number> {
  const failed = exited.then(how => `ended (${how})`);
  const port = await within(clock, startLimitMs, Promise.race([listening, failed]), 'did not answer');
  if (typeof port === 'number') return port;
  throw new Error(`the fault proxy ${port}; limit ${startLimitMs} ms`);
}

/** A call of the proxy's HTTP API. The client has no limit of its own and its errors name no place. */
async function call<T>(clock: Clock, what: string, work: Promise<T>): Promise<T> {
  const late = Symbol('late');
  work.catch(() => {});
  try {
    const value = await within(clock, callLimitMs, work, late);
    if (value === late) throw new Error(`no answer within ${callLimitMs} ms`);
    return value as T;
  } catch (error) {
    throw new Error(`the fault proxy could not ${what}: ${(error as Error).message}`, { cause: error });
  }
}

function controlOf(remote: Remote, clock: Clock): ProxyControl {
  let gone = false;
  return {
    async addToxic(name, type, attributes, stream = 'downstream') {
      const body = { name, type: type as ToxicType, stream, toxicity: 1, attributes };
      await call(clock, `add toxic ${name} (${type})`, remote.addToxic(body));
    },
    removeToxic: name =>
      call(
        clock,
        `remove toxic ${name}`,
        remote.api.delete(`${remote.getPath()}/toxics/${encodeURIComponent(name)}`),
      ),
    async cut() {
      if (!gone) await call(clock, 'cut its links', remote.remove());
      gone = true;
    },
  };
}

/** The parent's pipe is its sign to leave; it has nothing to finish, so it is not asked for long. */
async function endProcess({ child, exited }: ProxyProcess, clock: Clock): Promise<void> {
  child.stdin!.end();
  if ((await within(clock, leaveLimitMs, exited, null)) !== null) return;
  child.kill('SIGKILL');
  if ((await within(clock, leaveLimitMs, exited, null)) === null) {
    throw new Error(`the fault proxy (process ${child.pid}) did not end`);
  }
}

export async function openProxy(options: OpenProxy): Promise<FaultProxy> {
  const { clock, upstreamPort, lost } = options;
  const own = startProcess(options);
  let asked = false;
  const close = (): Promise<void> => {
    asked = true;
    return endProcess(own, clock);
  };
  try {
    const api = new Toxiproxy(`http://${host}:${await apiPort(own, clock)}`);
    // `mirror` is ours: while the server refuses, so does the proxy.
    const body = { name: 'database', listen: `${host}:0`, upstream: `${host}:${upstreamPort}`, mirror: true };
    const remote = await call(clock, 'open its proxy', api.createProxy(body));
    const port = Number(remote.listen.split(':').at(-1));
    void own.exited.then(how => {
      if (!asked) lost(`the fault proxy ended (${how})`);
    });
    return { control: controlOf(remote, clock), host, port, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}
