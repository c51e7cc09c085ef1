import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { PortListener } from '../../src/proxy/listener.ts';
import { dial, linked, ManualClock, proxyServer, settled, tryDial, until, upstream } from './helpers.ts';

async function setUp() {
  const clock = new ManualClock();
  const server = await proxyServer(clock);
  const up = await upstream();
  const proxy = await server.proxy(up.port);
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await server.call(method, `/proxies/p${path}`, body);
    expect(answer.status).toBeLessThan(300);
    return answer;
  };
  return {
    ...proxy,
    clock,
    server,
    up,
    call,
    kills: server.kills,
    settle: () => settled(server),
    link: () => linked(proxy.port, up),
    connections: async () => (await call('GET', '/connections')).json(),
  };
}

describe('refuse', () => {
  test('shuts the listener while it is there; open connections live on', async () => {
    const { link, add, port } = await setUp();
    const { client, server } = await link();
    const toxic = await add({ type: 'refuse' });
    expect(await tryDial(port)).toBe('ECONNREFUSED');
    client.socket.write('still');
    await server.has('still');
    await toxic.remove();
    expect(await tryDial(port)).toBe('connected');
  });

  test('goes with its toxicity, with the last of several, and with a reset of all', async () => {
    const { add, call, port, server } = await setUp();
    await add({ type: 'refuse', name: 'one', toxicity: 0 });
    expect(await tryDial(port)).toBe('connected');
    await call('POST', '/toxics/one', { toxicity: 1 });
    await add({ type: 'refuse', name: 'two' });
    await call('DELETE', '/toxics/one');
    expect(await tryDial(port)).toBe('ECONNREFUSED');
    expect((await server.call('POST', '/reset')).status).toBe(204);
    expect(await tryDial(port)).toBe('connected');
  });

  test('outlasts disabling and enabling', async () => {
    const { add, update, port, call } = await setUp();
    await add({ type: 'refuse', name: 'r' });
    await update({ enabled: false });
    await update({ enabled: true });
    expect(await tryDial(port)).toBe('ECONNREFUSED');
    await call('DELETE', '/toxics/r');
    expect(await tryDial(port)).toBe('connected');
  });

  test('does not open what a mirror has shut', async () => {
    const server = await proxyServer();
    const up = await upstream();
    const { add, port } = await server.proxy(up.port, { mirror: true });
    const { client } = await linked(port, up);
    up.close();
    await client.saw('end');
    while ((await tryDial(port)) !== 'ECONNREFUSED');
    const toxic = await add({ type: 'refuse' });
    await toxic.remove();
    expect(await tryDial(port)).toBe('ECONNREFUSED');
    const again = await upstream(up.port);
    while ((await tryDial(port)) !== 'connected');
    await linked(port, again);
  });
});

describe('accept_then_close', () => {
  test.each([
    ['fin', 'end'],
    ['rst', 'ECONNRESET'],
  ])('%s: the client sees %s, the upstream nothing; open connections live on', async (how, seen) => {
    const { link, add, port, up, kills, settle, clock, connections } = await setUp();
    const { client, server } = await link();
    await add({ type: 'accept_then_close', attributes: { how } });
    const late = await dial(port);
    late.socket.write('hello');
    await late.saw(seen);
    expect(late.events[0]).toBe(seen);
    client.socket.write('still');
    await server.has('still');
    expect(up.peers).toHaveLength(1);
    expect(kills()).toMatchObject([{ link: 2, clientPort: expect.any(Number), how }]);
    late.socket.end();
    await settle();
    expect(await connections()).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test('fin: a client that never ends its side is closed after a second', async () => {
    const { add, port, clock, connections } = await setUp();
    await add({ type: 'accept_then_close' });
    const client = await dial(port);
    await client.saw('end');
    expect(await connections()).toMatchObject([{ id: 1, state: 'closing' }]);
    clock.advance(1000);
    for (let left = 1; left > 0; ) left = (await connections()).length;
  });

  test('may be for one client port alone', async () => {
    const { add, link, server, call } = await setUp();
    const refused = await server.call('POST', '/proxies/p/toxics', {
      type: 'accept_then_close',
      select: { olderThan: 5 },
    });
    const error = 'bad request body: select.olderThan: accept_then_close takes clientPort';
    expect([refused.status, refused.json().error]).toEqual([400, error]);
    await add({ type: 'accept_then_close', name: 'a', select: { clientPort: 1 } } as never);
    await link();
    expect((await call('GET', '/toxics/a')).json().select).toEqual({ clientPort: 1 });
  });
});

describe('connect_delay', () => {
  const waiting = async () => {
    const all = await setUp();
    await all.add({ type: 'connect_delay', name: 'slow', attributes: { delay: 500 } });
    const client = await dial(all.port);
    client.socket.write('hi');
    await all.settle();
    expect(await all.connections()).toMatchObject([{ state: 'waiting', toxics: ['slow'] }]);
    return { ...all, client };
  };

  test('the upstream is dialed when it has passed, and nothing is lost', async () => {
    const { clock, up, settle, connections } = await waiting();
    clock.advance(499);
    await settle();
    expect(up.peers).toHaveLength(0);
    clock.advance(1);
    await until('the greeting', () => up.peers[0]?.text === 'hi');
    expect(await connections()).toMatchObject([{ state: 'open', toxics: ['slow'] }]);
  });

  test.each<[string, string, object | undefined]>([
    ['removed', 'DELETE', undefined],
    ['shorter', 'PATCH', { attributes: { delay: 1 } }],
    ['with toxicity 0', 'PATCH', { toxicity: 0 }],
  ])('%s, it lets go of who waits', async (_how, method, body) => {
    const { clock, up, call } = await waiting();
    clock.advance(1);
    await call(method, '/toxics/slow', body);
    await until('the greeting', () => up.peers[0]?.text === 'hi');
    expect(clock.pending).toBe(0);
  });

  test('who waits can be ended, and leaves no timer', async () => {
    const { clock, client, call, update } = await waiting();
    await call('DELETE', '/connections/1?how=rst');
    await client.saw('ECONNRESET');
    expect(clock.pending).toBe(0);
    await update({ enabled: false });
  });

  test('disabling the proxy ends who waits', async () => {
    const { clock, client, update } = await waiting();
    await update({ enabled: false });
    await client.saw('end');
    expect(clock.pending).toBe(0);
  });
});

describe('nth', () => {
  test('every n-th connection, the others live', async () => {
    const { add, link, port, kills } = await setUp();
    await add({ type: 'nth', name: 'third', attributes: { n: 3, what: 'connection', how: 'rst' } });
    for (let round = 0; round < 2; round += 1) {
      await link();
      await link();
      const third = await dial(port);
      await third.saw('ECONNRESET');
    }
    expect(kills().map(({ link: id }) => id)).toEqual([3, 6]);
  });

  test('connection, drop: accepted, and never answered until the client gives up', async () => {
    const { add, port, clock, settle, up } = await setUp();
    await add({ type: 'nth', attributes: { n: 1, what: 'connection', how: 'drop', giveUp: 700 } });
    const client = await dial(port);
    client.socket.write('hi');
    await settle();
    clock.advance(699);
    await settle();
    expect([client.events, up.peers.length]).toEqual([[], 0]);
    clock.advance(1);
    await client.saw('ECONNRESET');
  });

  test('every n-th request, counted over connections; a request is what follows an answer', async () => {
    const { add, link, settle, kills } = await setUp();
    const [one, two] = [await link(), await link()];
    await add({ type: 'nth', name: 'n', stream: 'downstream', attributes: { n: 4, how: 'fin' } });
    const ask = async ({ client, server }: typeof one) => {
      for (const part of ['a', 'b']) {
        client.socket.write(part);
        await settle();
      }
      server.socket.write('answer');
      await settle();
    };
    await ask(one);
    await ask(two);
    await ask(one);
    expect(kills()).toEqual([]);
    expect(one.server.text).toBe('abab');
    two.client.socket.write('c');
    await Promise.all([two.client.saw('end'), two.server.saw('end')]);
    expect(two.server.text).toBe('ab');
    expect(kills()).toMatchObject([{ toxic: 'n', link: 2, how: 'fin' }]);
    await ask(one);
  });
});

test('one connection too many is closed, and counted; those there are live on', async () => {
  const accepted: Socket[] = [];
  const address = { host: '127.0.0.1', port: 0 };
  const listener = new PortListener(address, realClock, client => void accepted.push(client), 2);
  await listener.open();
  onTestFinished(() => {
    listener.shut('stopped');
    for (const socket of accepted) socket.destroy();
  });
  const { port } = listener.address;
  const peers = [await dial(port), await dial(port), await dial(port)];
  await until('the third to be closed', () => peers[2]!.events.length > 0);
  expect([listener.overCount, peers[0]!.events, peers[1]!.events, accepted.length]).toEqual([1, [], [], 2]);
});
