import { describe, expect, test } from 'vitest';
import { linked, ManualClock, proxyServer, settled, upstream } from './helpers.ts';

async function setUp(count: number, seed?: string) {
  const clock = new ManualClock();
  const server = await proxyServer(clock, seed);
  const up = await upstream();
  const proxy = await server.proxy(up.port);
  const links: Awaited<ReturnType<typeof linked>>[] = [];
  // Each 10 ms after the one before.
  for (let i = 0; i < count; i += 1) {
    if (i > 0) clock.advance(10);
    links.push(await linked(proxy.port, up));
  }
  const call = (method: string, path: string, body?: unknown) =>
    server.call(method, `/proxies/p${path}`, body);
  const list = async () => (await call('GET', '/connections')).json();
  const hit = async (toxic: string): Promise<number[]> =>
    (await list())
      .filter(({ toxics }: { toxics: string[] }) => toxics.includes(toxic))
      .map(({ id }: { id: number }) => id);
  const add = async (type: string, select: object, more: object = {}) => {
    const answer = await call('POST', '/toxics', { type, name: 't', select, ...more });
    expect(answer.status).toBe(200);
    return answer.json();
  };
  return { ...proxy, clock, server, up, links, call, list, hit, put: add, settle: () => settled(server) };
}

describe('connections', () => {
  test('are listed with age, idle time, bytes each way and toxics', async () => {
    const { clock, links, list, add, settle } = await setUp(2);
    clock.advance(90);
    links[0]!.client.socket.write('12345');
    await links[0]!.server.has('12345');
    await add({ type: 'latency', name: 'lag', attributes: { latency: 60_000 } });
    links[1]!.server.socket.write('held');
    await settle();
    expect(await list()).toEqual([
      {
        id: 1,
        clientPort: links[0]!.client.socket.localPort,
        state: 'open',
        ageMs: 100,
        idleMs: 0,
        receivedBytes: { upstream: 7, downstream: 2 },
        sentBytes: { upstream: 7, downstream: 2 },
        heldBytes: { upstream: 0, downstream: 0 },
        toxics: ['lag'],
      },
      {
        id: 2,
        clientPort: links[1]!.client.socket.localPort,
        state: 'open',
        ageMs: 90,
        idleMs: 0,
        receivedBytes: { upstream: 2, downstream: 6 },
        sentBytes: { upstream: 2, downstream: 2 },
        heldBytes: { upstream: 0, downstream: 260 },
        toxics: ['lag'],
      },
    ]);
  });

  test.each([
    ['', 'ECONNRESET'],
    ['?how=rst', 'ECONNRESET'],
    ['?how=fin', 'end'],
  ])('DELETE%s ends one of them, both sides see %s', async (query, seen) => {
    const { call, links, list, server } = await setUp(2);
    expect((await call('DELETE', `/connections/1${query}`)).status).toBe(204);
    const { client, server: database } = links[0]!;
    await Promise.all([client.saw(seen), database.saw(seen)]);
    expect([client.events[0], database.events[0], links[1]!.client.events]).toEqual([seen, seen, []]);
    expect(server.kills()).toMatchObject([{ toxic: '', link: 1 }]);
    for (const { socket } of [client, database]) socket.end();
    while ((await list()).length > 1);
    expect((await call('DELETE', '/connections/1')).json()).toEqual({
      error: 'connection not found',
      status: 404,
    });
  });

  test('errors name what is wrong', async () => {
    const { call } = await setUp(1);
    const how = await call('DELETE', '/connections/1?how=maybe');
    expect([how.status, how.json().error]).toEqual([
      400,
      'bad request body: how: expected one of rst, fin, drop, got "maybe"',
    ]);
    expect((await call('DELETE', '/connections/x')).status).toBe(404);
  });

  test('a dropped one is listed as such, with who dropped it', async () => {
    const { clock, list, add } = await setUp(1);
    await add({ type: 'idle_timeout', name: 'idle', attributes: { timeout: 5 } });
    clock.advance(5);
    expect(await list()).toMatchObject([{ state: 'dropped', toxics: ['idle'] }]);
  });
});

describe('reset', () => {
  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'end'],
  ])('%s ends idle connections that are open, not later ones', async (how, seen) => {
    const { clock, links, call, port, up } = await setUp(2);
    await call('POST', '/toxics', { type: 'reset', name: 'r', attributes: { how } });
    clock.advance(0);
    for (const { client, server } of links) await Promise.all([client.saw(seen), server.saw(seen)]);
    const later = await linked(port, up);
    clock.advance(1_000_000);
    expect(later.client.events).toEqual([]);
    await call('POST', '/toxics/r', {});
    clock.advance(0);
    await later.client.saw(seen);
  });
});

test('lifetime ends a connection of its age, busy or not', async () => {
  const { clock, links, server, add } = await setUp(2);
  await add({ type: 'lifetime', attributes: { timeout: 1000, how: 'rst' } });
  clock.advance(989);
  links[0]!.client.socket.write('busy');
  await links[0]!.server.has('busy');
  expect(server.kills()).toEqual([]);
  clock.advance(1);
  expect(server.kills()).toMatchObject([{ link: 1, how: 'rst' }]);
  clock.advance(10);
  expect(server.kills()).toMatchObject([{ link: 1 }, { link: 2 }]);
});

describe('select', () => {
  test.each<[object, number[]]>([
    [{ oldest: 2 }, [1, 2]],
    [{ newest: 1 }, [5]],
    [{ newest: 9 }, [1, 2, 3, 4, 5]],
    [{ olderThan: 20 }, [1, 2, 3]],
    [{ olderThan: 20, newest: 1 }, [3]],
    [{ olderThan: 1_000_000, oldest: 2 }, []],
    [{}, [1, 2, 3, 4, 5]],
  ])('%j', async (select, expected) => {
    const { put, hit } = await setUp(5);
    await put('noop', select);
    expect(await hit('t')).toEqual(expected);
  });

  test('by client port', async () => {
    const { put, hit, links } = await setUp(3);
    await put('noop', { clientPort: links[1]!.client.socket.localPort });
    expect(await hit('t')).toEqual([2]);
  });

  test('by rank: the choice stands; who comes later is not chosen', async () => {
    const { put, hit, call, port, up } = await setUp(2);
    await put('noop', { newest: 1 });
    await linked(port, up);
    await call('POST', '/toxics/t', { toxicity: 1 });
    expect(await hit('t')).toEqual([2]);
    await call('POST', '/toxics/t', { select: { newest: 1 } });
    expect(await hit('t')).toEqual([3]);
    await call('POST', '/toxics/t', { select: {} });
    expect(await hit('t')).toEqual([1, 2, 3]);
  });

  test('by age: each when it is that old, later ones too', async () => {
    const { put, hit, clock, port, up } = await setUp(2);
    await put('noop', { olderThan: 100 });
    expect(await hit('t')).toEqual([]);
    clock.advance(90);
    expect(await hit('t')).toEqual([1]);
    await linked(port, up);
    clock.advance(10);
    expect(await hit('t')).toEqual([1, 2]);
    clock.advance(90);
    expect(await hit('t')).toEqual([1, 2, 3]);
    expect(clock.pending).toBe(0);
  });

  test('by idle time: traffic puts it off; who was chosen stays chosen until the selection is made anew', async () => {
    const { put, hit, clock, links, call } = await setUp(2);
    await put('noop', { idleFor: 100 });
    clock.advance(89);
    links[0]!.client.socket.write('.');
    await links[0]!.server.has('.');
    clock.advance(11);
    expect(await hit('t')).toEqual([2]);
    links[1]!.client.socket.write('.');
    await links[1]!.server.has('.');
    await call('POST', '/toxics/t', { attributes: {} });
    expect(await hit('t')).toEqual([2]);
    await call('POST', '/toxics/t', { select: { idleFor: 11 } });
    expect(await hit('t')).toEqual([1]);
  });

  test('a stage comes to a connection when it is chosen, and leaves with the selection', async () => {
    const { put, clock, links, call, settle } = await setUp(1);
    await put('blackhole', { idleFor: 50 }, { stream: 'upstream' });
    const { client, server } = links[0]!;
    clock.advance(50);
    client.socket.write('held');
    await settle();
    expect(server.text).toBe('');
    await call('POST', '/toxics/t', { select: { idleFor: 60 } });
    await server.has('held');
    clock.advance(100);
    expect(clock.pending).toBe(0);
  });

  test('reset takes those that fit at its moment, and waits for nobody', async () => {
    const { put, clock, links, server } = await setUp(3);
    await put('reset', { olderThan: 10 });
    expect(clock.pending).toBe(2);
    clock.advance(1000);
    await links[0]!.client.saw('ECONNRESET');
    expect(server.kills().map(({ link }) => link)).toEqual([1, 2]);
  });

  test('removed while it looks, it leaves no timer', async () => {
    const { put, clock, call } = await setUp(2);
    await put('latency', { olderThan: 1000 });
    expect(clock.pending).toBe(2);
    await call('DELETE', '/toxics/t');
    expect(clock.pending).toBe(0);
  });

  test.each<[string, unknown, string]>([
    ['noop', 7, 'select: expected object, got number'],
    [
      'noop',
      { oldrThan: 1 },
      'select.oldrThan: unknown, expected one of olderThan, idleFor, oldest, newest, clientPort',
    ],
    ['noop', { olderThan: '1' }, 'select.olderThan: expected integer, got string'],
    ['noop', { oldest: 0 }, 'select.oldest: must be at least 1, is 0'],
    ['noop', { clientPort: 70_000 }, 'select.clientPort: must be at most 65535, is 70000'],
    ['noop', { oldest: 1, newest: 1 }, 'select: expected oldest or newest, got both'],
    ['refuse', { clientPort: 1 }, 'select.clientPort: refuse takes no selection'],
  ])('%s %j: %s', async (type, select, error) => {
    const { call } = await setUp(0);
    const answer = await call('POST', '/toxics', { type, select });
    expect([answer.status, answer.json().error]).toEqual([400, `bad request body: ${error}`]);
  });
});
