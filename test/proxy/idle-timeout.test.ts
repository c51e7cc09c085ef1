import { describe, expect, test } from 'vitest';
import { linked, ManualClock, type Peer, proxyServer, settled, upstream } from './helpers.ts';

const timeout = 1000;
const giveUp = 5000;

async function setUp(how = 'drop') {
  const clock = new ManualClock();
  const server = await proxyServer(clock);
  const up = await upstream();
  const proxy = await server.proxy(up.port);
  const add = (more: object = {}) =>
    proxy.add({ type: 'idle_timeout', name: 'idle', attributes: { timeout, how, giveUp }, ...more });
  const link = await linked(proxy.port, up);
  return {
    ...link,
    clock,
    up,
    add,
    port: proxy.port,
    proxy,
    settle: () => settled(server),
    kills: server.kills,
  };
}

async function dropped() {
  const all = await setUp('drop');
  const toxic = await all.add();
  all.clock.advance(timeout);
  expect(all.kills()).toHaveLength(1);
  return { ...all, toxic };
}

const toldNothing = (peer: Peer) => expect([peer.text, peer.events]).toEqual(['', []]);

async function heard(from: Peer, to: Peer): Promise<void> {
  from.socket.write('.');
  await to.has('.');
  to.received = Buffer.alloc(0);
}

describe('drop', () => {
  test('tells neither side, and tells the parent which, when and how long it was idle', async () => {
    const { client, server, clock, kills, settle } = await dropped();
    await settle();
    toldNothing(client);
    toldNothing(server);
    const clientPort = client.socket.localPort;
    const at = clock.nowMs();
    expect(kills()).toEqual([
      { ev: 'kill', proxy: 'p', toxic: 'idle', link: 1, clientPort, at, how: 'drop', idleMs: timeout },
    ]);
  });

  test('what the client sends vanishes, its end too; it is reset when its kernel would give up', async () => {
    const { client, server, clock, settle } = await dropped();
    client.socket.end('lost');
    await settle();
    expect(clock.pending).toBe(1);
    clock.advance(giveUp - 1);
    await settle();
    toldNothing(client);
    clock.advance(1);
    await client.saw('close');
    expect(client.events).toEqual(['ECONNRESET', 'close']);
    await settle();
    toldNothing(server);
  });

  test('an end without a byte is given up, too', async () => {
    const { client, clock, settle } = await dropped();
    client.socket.end();
    await settle();
    clock.advance(giveUp);
    await client.saw('ECONNRESET');
  });

  test('the first byte starts the give-up, later ones do not delay it', async () => {
    const { client, clock, settle } = await dropped();
    client.socket.write('lost');
    await settle();
    clock.advance(giveUp - 1);
    client.socket.write('lost');
    await settle();
    clock.advance(1);
    await client.saw('ECONNRESET');
  });

  test('nothing is given up while the client sends nothing', async () => {
    const { client, clock, settle } = await dropped();
    clock.advance(100 * giveUp);
    await settle();
    toldNothing(client);
  });

  test.each<[string, (peer: Peer) => void]>([
    ['bytes and end', peer => peer.socket.end('lost')],
    ['reset', peer => peer.socket.resetAndDestroy()],
  ])('the client never learns of the %s of the server', async (_what, part) => {
    const { client, server, settle } = await dropped();
    part(server);
    await settle();
    toldNothing(client);
  });

  test('the server never learns that the client is gone, until the proxy is', async () => {
    const { client, server, proxy, settle } = await dropped();
    client.socket.resetAndDestroy();
    await settle();
    server.socket.write('into the hole');
    await settle();
    toldNothing(server);
    await proxy.proxy.remove();
    await server.saw('end');
  });

  test('a dropped connection stays dropped when the toxic leaves; a new one works', async () => {
    const { client, server, toxic, port, up, settle } = await dropped();
    await toxic.remove();
    client.socket.write('lost');
    await settle();
    toldNothing(server);
    await linked(port, up);
  });

  test.each<[string, (all: Awaited<ReturnType<typeof dropped>>) => Promise<unknown>]>([
    ['deleting', ({ proxy }) => proxy.proxy.remove()],
    ['disabling', ({ proxy }) => proxy.update({ enabled: false })],
  ])('%s the proxy cuts dropped connections, too', async (_how, cut) => {
    const all = await dropped();
    all.client.socket.write('lost');
    await all.settle();
    await cut(all);
    await Promise.all([all.client.saw('end'), all.server.saw('end')]);
    expect([all.client.text, all.server.text, all.clock.pending]).toEqual(['', '', 0]);
  });
});

test('fin ends both sides properly', async () => {
  const { client, server, clock, add } = await setUp('fin');
  await add();
  clock.advance(timeout);
  await Promise.all([client.saw('end'), server.saw('end')]);
  for (const peer of [client, server]) peer.socket.end();
  await Promise.all([client.saw('close'), server.saw('close')]);
  expect([client.events, server.events]).toEqual(Array(2).fill(['end', 'close']));
});

test('rst truly resets both sides', async () => {
  const { client, server, clock, add } = await setUp('rst');
  await add();
  clock.advance(timeout);
  await Promise.all([client.saw('close'), server.saw('close')]);
  expect([client.events, server.events]).toEqual(Array(2).fill(['ECONNRESET', 'close']));
});

describe('what counts as idle', () => {
  test('no byte in either direction, whatever stream says', async () => {
    const { clock, client, server, add, kills } = await setUp();
    await add({ stream: 'upstream' });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      clock.advance(timeout - 1);
      await heard(from, to);
    }
    clock.advance(timeout - 1);
    expect(kills()).toEqual([]);
    clock.advance(1);
    expect(kills()).toMatchObject([{ link: 1, idleMs: timeout }]);
  });

  test('the time before the toxic came counts', async () => {
    const { clock, add, kills } = await setUp();
    clock.advance(10 * timeout);
    await add();
    clock.advance(0);
    expect(kills()).toMatchObject([{ link: 1, idleMs: 10 * timeout }]);
  });

  test('each connection by itself, later ones too', async () => {
    const { clock, add, kills, port, up } = await setUp();
    await add();
    clock.advance(timeout / 2);
    await linked(port, up);
    clock.advance(timeout / 2);
    expect(kills().map(({ link }) => link)).toEqual([1]);
    clock.advance(timeout / 2);
    expect(kills().map(({ link }) => link)).toEqual([1, 2]);
  });

  test('a new timeout holds for open connections', async () => {
    const { clock, add, kills } = await setUp();
    const toxic = await add();
    await toxic.update({ attributes: { timeout: 3 * timeout, how: 'rst' } } as never);
    clock.advance(3 * timeout - 1);
    expect(kills()).toEqual([]);
    await toxic.update({ attributes: { timeout: 2 * timeout } } as never);
    clock.advance(0);
    expect(kills()).toMatchObject([{ how: 'rst', idleMs: 3 * timeout - 1 }]);
  });

  test('nothing any more once the toxic is gone', async () => {
    const { clock, add, kills, client, server } = await setUp();
    const toxic = await add();
    await toxic.remove();
    clock.advance(100 * timeout);
    expect([kills(), clock.pending]).toEqual([[], 0]);
    await heard(client, server);
  });
});

describe('toxicity', () => {
  const count = 24;

  async function victims(seed: string, meddle: (path: string, call: Call) => Promise<unknown>) {
    const clock = new ManualClock();
    const server = await proxyServer(clock, seed);
    const up = await upstream();
    const { add, port } = await server.proxy(up.port);
    await add({ type: 'idle_timeout', name: 'idle', toxicity: 0.5, attributes: { timeout, how: 'drop' } });
    for (let i = 0; i < count; i += 1) await linked(port, up);
    await meddle('/proxies/p/toxics', server.call);
    clock.advance(timeout);
    return server.kills().map(({ link }) => link);
  }
  type Call = Awaited<ReturnType<typeof proxyServer>>['call'];

  test('victims come from the seed, and neither a change nor another toxic draws them again', async () => {
    const first = await victims('one', async () => {});
    expect(first.length).toBeGreaterThan(0);
    expect(first.length).toBeLessThan(count);
    const meddled = victims('one', async (path, call) => {
      await call('POST', `${path}/idle`, { attributes: { giveUp: 7 } });
      await call('POST', path, { type: 'latency', toxicity: 0.5 });
      await call('POST', `${path}/idle`, { toxicity: 0 });
      await call('POST', `${path}/idle`, { toxicity: 0.5 });
    });
    expect(await meddled).toEqual(first);
    expect(await victims('two', async () => {})).not.toEqual(first);
  });
});
