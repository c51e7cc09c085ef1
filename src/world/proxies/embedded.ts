import { type Proxy as Remote, type ToxicType, Toxiproxy } from 'toxiproxy-node-client';
import type { Clock } from '../../clock.ts';
import { builtFile } from '../../guardian/built.ts';
import type { LinkKill, ProxyControl } from '../world.ts';
import { startChild } from './child.ts';
import { call, type FaultProxy, host, type OpenProxy } from './proxy.ts';

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

/** The fault proxy of our own, a process with one proxy on it. */
export async function openEmbedded(options: OpenProxy): Promise<FaultProxy> {
  const { clock, guardian, seed, upstreamPort, kill, lost } = options;
  const main = builtFile(import.meta.url, '../../proxy/main.js');
  const flags = ['-host', host, '-port', '0', '-seed', String(seed), '--events-fd', '3', '--parent-pipe'];
  const own = await startChild<{ ev: 'listening'; port: number }>({
    clock,
    guardian,
    what: 'fault proxy',
    args: [main, ...flags],
    event: event => event.ev === 'kill' && kill(event as LinkKill & { ev: string }),
    lost,
  });
  try {
    const api = new Toxiproxy(`http://${host}:${own.first.port}`);
    // `mirror` is ours: while the server refuses, so does the proxy.
    const body = { name: 'database', listen: `${host}:0`, upstream: `${host}:${upstreamPort}`, mirror: true };
    const remote = await call(clock, 'open its proxy', api.createProxy(body));
    const port = Number(remote.listen.split(':').at(-1));
    const provides = ['latency', 'idle-kill', 'idle-reset'] as const;
    return { control: controlOf(remote, clock), host, port, provides, close: own.close };
  } catch (error) {
    await own.close().catch(() => {});
    throw error;
  }
}
