import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { VirtualSocket } from '../../../src/sim/net/socket.ts';
import { clientOf, linked } from './stage.ts';
import { type VirtualOptions, type VirtualStage, virtual } from './virtual-stage.ts';

/** What can go wrong before the first byte, and with what is asked of the network. */

const even = { hopMs: { min: 0.05, max: 0.05 } };

const play = (what: string, act: (stage: VirtualStage) => Promise<void>, options: VirtualOptions = {}) =>
  test(what, () => virtual(act, options));

describe('connecting', () => {
  play(
    'a server that stops listening after the proxy answered for it resets',
    async stage => {
      const client = stage.dial();
      await stage.sleepMs(0.07);
      await stage.shut();
      await stage.sleepMs(1);
      expect(client.heard.events).toEqual(['connect', 'ready', 'error: read ECONNRESET -104', 'close true']);
    },
    { model: even },
  );

  play('names', async stage => {
    const [here, nowhere] = [stage.dial({ host: 'localhost' }), stage.dial({ host: 'db.example' })];
    await stage.sleepMs(1);
    expect(here.heard.events).toEqual(['lookup', 'connect', 'ready']);
    expect(nowhere.heard.events).toEqual([
      'lookup',
      'error: getaddrinfo ENOTFOUND db.example -3008',
      'close true',
    ]);
  });

  play('ports are counted up from 32768, and wrap over those in use', async stage => {
    const first = await linked(stage);
    const ports = [first.client.socket.localPort];
    for (let n = 1; n < 28_233; n += 1) {
      const client = stage.dial();
      await stage.sleepMs(0);
      ports.push(client.socket.localPort);
      client.socket.destroy();
      await stage.sleepMs(0.3);
      for (const end of stage.ends.splice(1)) end.close();
      await stage.sleepMs(0.3);
    }
    expect(ports.slice(0, 3)).toEqual([32_768, 32_769, 32_770]);
    expect(ports.slice(-2)).toEqual([60_999, 32_769]);
  });

  play('no port is left', async stage => {
    const clients = Array.from({ length: 28_233 }, () => stage.dial());
    await stage.sleepMs(1);
    expect(clients.at(-1)!.heard.events[0]).toBe(
      'error: connect EADDRNOTAVAIL 127.0.0.1:5432: all 28232 client ports, 32768 to 60999, are in use -99',
    );
    expect(new Set(clients.map(({ socket }) => socket.localPort)).size).toBe(28_233);
  });

  play('two listeners on one port', async stage => {
    expect(() => stage.network.listen(5432, () => ({ data() {}, end() {}, reset() {} }))).toThrow(
      'listen EADDRINUSE 127.0.0.1:5432',
    );
  });

  play('what it cannot do it says', async stage => {
    const socket = new VirtualSocket(stage.network);
    expect(() => socket.connect({ path: '/tmp/s' })).toThrow('a virtual socket connects to a TCP port');
    expect(() => socket.connect({ port: 70_000 })).toThrow('Port should be >= 0 and < 65536');
    expect(() => new VirtualSocket(stage.network, { onread: {} })).toThrow('no option onread');
    expect(() => socket.setTimeout(-1)).toThrow('out of range');
  });

  play('connect(port, host, callback), and an option timeout', async stage => {
    const socket = new VirtualSocket(stage.network);
    const client = clientOf(socket as unknown as Socket);
    let called = 0;
    socket.connect(5432, '127.0.0.1', () => (called += 1));
    await stage.sleepMs(1);
    expect([called, client.heard.events]).toEqual([1, ['connect', 'ready']]);
    const idle = clientOf(
      new VirtualSocket(stage.network).connect({ port: 5432, timeout: 5 }) as unknown as Socket,
    );
    await stage.sleepMs(10);
    expect(idle.heard.events).toEqual(['lookup', 'connect', 'ready', 'timeout']);
  });
});

describe('toxics', () => {
  const wrong: [string, Parameters<VirtualStage['addToxic']>][] = [
    ['toxic t: unknown type slicer', ['t', 'slicer', {}]],
    ['toxic t (latency): unknown attribute delay', ['t', 'latency', { delay: 1 }]],
    ['toxic t (noop): unknown attribute x', ['t', 'noop', { x: 1 }]],
    ['attributes.timeout: must be at least 1, is 0', ['t', 'idle_timeout', {}]],
    ['attributes.how: expected one of drop, fin, rst', ['t', 'idle_timeout', { timeout: 1, how: 'x' }]],
    ['attributes.latency: expected integer, got 1.5', ['t', 'latency', { latency: 1.5 }]],
    ['stream: expected one of upstream, downstream', ['t', 'latency', {}, 'both']],
    ['toxic there exists already', ['there', 'noop', {}]],
  ];
  for (const [message, toxic] of wrong)
    play(message, async stage => {
      stage.addToxic('there', 'noop', {});
      expect(() => stage.addToxic(...toxic)).toThrow(message);
      expect(() => stage.removeToxic('t')).toThrow('toxic t not found');
    });
});
