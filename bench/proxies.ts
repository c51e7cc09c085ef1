import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Proxy as Remote, type ToxicType, Toxiproxy } from 'toxiproxy-node-client';
import { realClock, waitUntil } from '../src/clock.ts';
import { freePort } from '../src/world/port.ts';

/** A proxy's process with one proxy on it. */
export interface Proxied {
  port: number;
  add(type: string, attributes: object, stream?: 'upstream' | 'downstream'): Promise<void>;
  /** Resident bytes now, and the most it ever had. */
  rss(): { bytes: number; peakBytes: number };
  close(): Promise<void>;
}

const host = '127.0.0.1';
const main = fileURLToPath(new URL('../src/proxy/main.js', import.meta.url));

export const embedded = (upstreamPort: number): Promise<Proxied> =>
  open(process.execPath, [main, '-seed', '1'], upstreamPort);

/** Toxiproxy's own server, from PATH. */
export const stock = (upstreamPort: number): Promise<Proxied> => open('toxiproxy-server', [], upstreamPort);

async function open(program: string, args: string[], upstreamPort: number): Promise<Proxied> {
  const port = await freePort();
  const child = spawn(program, [...args, '-host', host, '-port', String(port)], { stdio: 'ignore' });
  await once(child, 'spawn');
  const api = new Toxiproxy(`http://${host}:${port}`);
  let remote: Remote | null = null;
  const answered = async () => {
    const body = { name: 'database', listen: `${host}:0`, upstream: `${host}:${upstreamPort}` };
    remote = await api.createProxy(body).catch(() => null);
    return remote !== null;
  };
  const waited = await waitUntil(realClock, answered, { everyMs: 20, limitMs: 5_000 });
  if (waited !== 'met') throw new Error(`${program} does not answer within 5 s`);
  return proxied(child, remote!);
}

function proxied(child: ChildProcess, remote: Remote): Proxied {
  return {
    port: Number(remote.listen.split(':').at(-1)),
    async add(type, attributes, stream = 'downstream') {
      await remote.addToxic({ name: type, type: type as ToxicType, stream, toxicity: 1, attributes });
    },
    rss: () => ({ bytes: statusOf(child.pid!, 'VmRSS'), peakBytes: statusOf(child.pid!, 'VmHWM') }),
    async close() {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** Linux only, as the limits are. */
function statusOf(pid: number, field: string): number {
  const [, kilobytes] =
    new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
