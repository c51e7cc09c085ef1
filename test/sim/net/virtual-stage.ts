import type { Socket } from 'node:net';
import { seeded } from '../../../src/random.ts';
import { VirtualLoop } from '../../../src/sim/loop.ts';
import { network as model } from '../../../src/sim/model.ts';
import type { NetworkModel, PathKind, ServerEnd } from '../../../src/sim/net/contract.ts';
import { Network } from '../../../src/sim/net/network.ts';
import { VirtualSocket } from '../../../src/sim/net/socket.ts';
import { clientOf, Heard, type Kill, type ServerScript, type Stage, untilBy } from './stage.ts';

function virtualServer(end: ServerEnd, heard = new Heard()): ServerScript {
  return {
    heard,
    clientPort: () => end.clientPort,
    send: data => end.send(typeof data === 'string' ? Buffer.from(data) : data),
    end: () => end.end(),
    close: () => end.close(),
    reset: () => end.reset(),
    pause: () => end.pause(),
    resume: () => end.resume(),
  };
}

export interface VirtualStage extends Stage {
  loop: VirtualLoop;
  network: Network;
  ends: ServerEnd[];
}

export interface VirtualOptions {
  kind?: PathKind;
  seed?: string;
  model?: Partial<NetworkModel>;
}

const virtualPort = 5432;

/** The virtual network. */
export function virtual(
  play: (stage: VirtualStage) => Promise<void>,
  { kind = 'userspace', seed = 'conformance', model: changed = {} }: VirtualOptions = {},
): Promise<void> {
  const loop = new VirtualLoop();
  const clock = loop.clockOf(loop.root);
  const servers: ServerScript[] = [];
  const ends: ServerEnd[] = [];
  const kills: Kill[] = [];
  const network = new Network({
    loop,
    model: { ...model, ...changed },
    random: seeded(seed),
    kind,
    killed: kill => kills.push(kill),
  });
  return loop.run(async () => {
    const listener = network.listen(virtualPort, end => {
      const script = virtualServer(end);
      servers.push(script);
      ends.push(end);
      const { heard } = script;
      return {
        data: chunk => heard.data(chunk),
        end: () => heard.note('end'),
        reset: () => heard.note('reset'),
      };
    });
    await play({
      loop,
      network,
      ends,
      servers,
      kills,
      dial: ({ allowHalfOpen = false, host = '127.0.0.1', port = virtualPort } = {}) => {
        const socket = new VirtualSocket(network, { allowHalfOpen });
        socket.connect({ port, host });
        return clientOf(socket as unknown as Socket);
      },
      addToxic: (...toxic) => network.addToxic(...toxic),
      removeToxic: name => network.removeToxic(name),
      cut: () => network.cut(),
      async shut() {
        listener.close();
        // Somebody has to run into it before the mirror knows.
        const first = new VirtualSocket(network);
        first.on('error', () => {});
        first.connect({ port: virtualPort, host: '127.0.0.1' });
        await untilBy(clock, 0.2, 'refused', () => first.closed);
      },
      until: (what, met) => untilBy(clock, 0.2, what, met),
      settled: () => clock.sleepMs(2),
      nowMs: clock.nowMs,
      sleepMs: clock.sleepMs,
    });
  });
}
