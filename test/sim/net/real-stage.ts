import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { realClock, waitUntil } from '../../../src/clock.ts';
import { FaultProxy } from '../../../src/proxy/fault-proxy.ts';
import { seeded } from '../../../src/random.ts';
import { clientOf, Heard, type Kill, limitMs, type ServerScript, type Stage, untilBy } from './stage.ts';

function realServer(socket: Socket): ServerScript {
  const heard = new Heard();
  socket.on('data', chunk => heard.data(chunk));
  socket.on('end', () => heard.note('end'));
  socket.on('error', () => heard.note('reset'));
  return {
    heard,
    clientPort: () => socket.remotePort!,
    send: data => void socket.write(data),
    end: () => void socket.end(),
    close: () => void socket.destroySoon(),
    reset: () => void socket.resetAndDestroy(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

/** Sockets of the kernel through the real fault proxy. */
export async function real(play: (stage: Stage) => Promise<void>): Promise<void> {
  const servers: ServerScript[] = [];
  const sockets = new Set<Socket>();
  const kills: Kill[] = [];
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    sockets.add(socket);
    servers.push(realServer(socket));
  });
  const listen = () => new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  await listen();
  const settings = {
    listen: '127.0.0.1:0',
    upstream: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    enabled: true,
    mirror: true,
  };
  const proxy = new FaultProxy('p', settings, {
    clock: realClock,
    random: seeded('conformance'),
    emit: event => event.ev === 'kill' && kills.push(event),
  });
  await proxy.start();
  const port = Number(proxy.settings.listen.split(':').at(-1));
  const until = (what: string, met: () => boolean) => untilBy(realClock, 2, what, met);
  // The mirror's first dial is over before the play begins.
  await until('the first dial of the mirror', () => servers[0]?.heard.events.includes('end') ?? false);
  servers.length = 0;
  const refuses = () =>
    new Promise<boolean>(resolve => {
      const probe = connect(port, '127.0.0.1', () => resolve(false)).on('error', error =>
        resolve((error as NodeJS.ErrnoException).code === 'ECONNREFUSED'),
      );
      probe.on('connect', () => probe.destroy());
    });
  const stage: Stage = {
    servers,
    kills,
    dial: ({ allowHalfOpen = false, host = '127.0.0.1', port: other = port } = {}) => {
      const socket = connect({ port: other, host, allowHalfOpen, noDelay: true });
      sockets.add(socket);
      return clientOf(socket);
    },
    addToxic: (name, type, attributes, stream = 'downstream') =>
      void proxy.addToxic({ name, type, attributes, stream }),
    removeToxic: name => proxy.removeToxic(name),
    cut: () => proxy.stop(),
    async shut() {
      listener.close();
      // Somebody has to run into it before the mirror looks.
      await waitUntil(realClock, refuses, { everyMs: 2, limitMs });
    },
    until,
    settled: async () => {
      for (let n = 0; n < 5; n += 1) await roundTrip();
    },
    nowMs: realClock.nowMs,
    sleepMs: realClock.sleepMs,
  };
  try {
    await play(stage);
  } finally {
    proxy.stop();
    listener.close();
    for (const socket of sockets) socket.destroy();
  }
}

/** A connection made and ended on this event loop: several turns of it, in which the proxy has its own. */
async function roundTrip(): Promise<void> {
  const echo = createServer(socket => socket.end('.'));
  await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve));
  const socket = connect((echo.address() as AddressInfo).port, '127.0.0.1');
  await new Promise<void>(resolve => socket.resume().on('close', () => resolve()));
  await new Promise<void>(resolve => echo.close(() => resolve()));
}
