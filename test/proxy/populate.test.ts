import { describe, expect, test } from 'vitest';
import { linked, ManualClock, portIn, proxyServer, tryDial, upstream } from './helpers.ts';

const a = { name: 'a', listen: '127.0.0.1:0', upstream: '127.0.0.1:1' };
const b = { ...a, name: 'b' };

async function setUp() {
  const server = await proxyServer();
  const populate = (list: unknown) => server.call('POST', '/populate', list);
  const names = async () => Object.keys((await server.call('GET', '/proxies')).json());
  return { ...server, populate, names };
}

describe('populate', () => {
  test('makes proxies, enabled unless told otherwise, and answers with them in order', async () => {
    const { populate } = await setUp();
    const answer = await populate([b, { ...a, enabled: false }]);
    expect(answer.status).toBe(201);
    expect(answer.json()).toMatchObject({
      proxies: [
        { name: 'b', enabled: true, toxics: [] },
        { name: 'a', enabled: false, listen: a.listen },
      ],
    });
    expect((await populate([])).json()).toEqual({ proxies: null });
  });

  test('by the stock client', async () => {
    const { client, names } = await setUp();
    await client.populate([a, b]);
    expect(await names()).toEqual(['a', 'b']);
  });

  test('keeps what is the same, connections and toxics too, and what is not named', async () => {
    const { populate, call, names } = await setUp();
    const up = await upstream();
    const [made] = (await populate([{ ...a, upstream: `127.0.0.1:${up.port}` }, b])).json().proxies;
    const { client, server } = await linked(portIn(made.listen), up);
    await call('POST', '/proxies/a/toxics', { type: 'noop', name: 'n' });
    const { listen, upstream: to } = made;
    const kept = (await populate([{ name: 'a', listen, upstream: to, enabled: false }])).json().proxies[0];
    expect(kept).toMatchObject({ enabled: true, toxics: [{ name: 'n' }] });
    client.socket.write('still');
    await server.has('still');
    expect(await names()).toEqual(['a', 'b']);
  });

  test('replaces what differs, on the same port', async () => {
    const { populate, call } = await setUp();
    const [one, two] = [await upstream(), await upstream()];
    const made = (await populate([{ ...a, upstream: `127.0.0.1:${one.port}` }])).json().proxies[0];
    const { client } = await linked(portIn(made.listen), one);
    await call('POST', '/proxies/a/toxics', { type: 'noop' });
    const { listen } = made;
    const other = { name: 'a', listen, upstream: `127.0.0.1:${two.port}` };
    expect((await populate([other])).json().proxies).toMatchObject([{ listen, enabled: true, toxics: [] }]);
    await client.saw('end');
    await linked(portIn(listen), two);
  });

  test('with toxics: there before the first connection', async () => {
    const { populate } = await setUp();
    const toxics = [{ type: 'refuse' }, { type: 'latency', name: 'l', attributes: { latency: 7 } }];
    const made = (await populate([{ ...a, toxics }])).json().proxies[0];
    expect(made.toxics).toMatchObject([
      { type: 'refuse' },
      { name: 'l', attributes: { latency: 7, jitter: 0 } },
    ]);
    expect(await tryDial(portIn(made.listen))).toBe('ECONNREFUSED');
    const kept = (await populate([{ ...a, listen: made.listen, toxics: [{ type: 'noop' }] }])).json();
    expect(kept.proxies[0].toxics).toMatchObject([{ type: 'noop' }]);
    expect(await tryDial(portIn(made.listen))).toBe('connected');
  });

  test('a toxic that stays is changed in place: nothing it holds is lost', async () => {
    const clock = new ManualClock();
    const server = await proxyServer(clock);
    const up = await upstream();
    const toxics = (bytes: number) => [
      { type: 'limit_data', name: 'l', stream: 'upstream', attributes: { bytes } },
    ];
    const populate = async (list: unknown) =>
      (await server.call('POST', '/populate', list)).json().proxies[0];
    const given = { ...a, upstream: `127.0.0.1:${up.port}` };
    const { listen } = await populate([{ ...given, toxics: toxics(100) }]);
    const link = await linked(portIn(listen), up);
    await populate([{ ...given, listen, toxics: toxics(3) }]);
    link.client.socket.write('abc');
    await link.server.saw('end');
    // 'hi' was the greeting, and counts.
    expect(link.server.text).toBe('a');
  });

  test.each<[unknown, string]>([
    [[a, { upstream: 'x:1' }], 'missing required field: name at proxy 2'],
    [[a, { name: 'x' }], 'missing required field: upstream at proxy 2'],
    [{}, 'bad request body: expected array, got object'],
    [[a, 7], 'bad request body: [1]: expected object, got number'],
    [[a, { ...b, enabled: 1 }], 'bad request body: enabled: expected boolean, got number at proxy 2'],
    [
      [a, { ...b, toxics: [{ type: 'bandwidth', attributes: { rate: -1 } }] }],
      'bad request body: attributes.rate: must be at least 0, is -1 at proxy 2',
    ],
    [
      [{ ...a, toxics: [{ type: 'noop' }, { type: 'noop' }] }],
      'bad request body: toxics: "noop_downstream" is there twice at proxy 1',
    ],
    [
      [{ ...a, toxics: Array.from({ length: 101 }, (_, i) => ({ type: 'noop', name: `${i}` })) }],
      'toxics of a proxy: at most 100, this would be 101 at proxy 1',
    ],
  ])('%j: nothing is made', async (list, error) => {
    const { populate, names } = await setUp();
    const answer = await populate(list);
    expect([answer.status, answer.json()]).toEqual([400, { error, status: 400, proxies: null }]);
    expect(await names()).toEqual([]);
  });

  test('a port that cannot be had: those before it stand', async () => {
    const { populate, names } = await setUp();
    const { port } = await upstream();
    const answer = await populate([a, { ...b, listen: `127.0.0.1:${port}` }, { ...a, name: 'c' }]);
    const error = `listen tcp 127.0.0.1:${port}: bind: address already in use`;
    expect([answer.status, answer.json()]).toMatchObject([
      500,
      { error, status: 500, proxies: [{ name: 'a' }] },
    ]);
    expect(await names()).toEqual(['a']);
  });
});

test('no host named: loopback, not every interface', async () => {
  const { call } = await setUp();
  for (const listen of ['', ':0']) {
    const made = await call('POST', '/proxies', { ...a, name: `x${listen}`, listen });
    expect(made.json().listen).toMatch(/^127\.0\.0\.1:\d+$/);
  }
});

describe('limits', () => {
  test('toxics of a proxy', async () => {
    const { call } = await setUp();
    await call('POST', '/proxies', a);
    for (let i = 0; i < 100; i += 1) await call('POST', '/proxies/a/toxics', { type: 'noop', name: `${i}` });
    const answer = await call('POST', '/proxies/a/toxics', { type: 'noop' });
    const error = 'toxics of a proxy: at most 100, this would be 101';
    expect([answer.status, answer.json()]).toEqual([400, { error, status: 400 }]);
  });

  test('proxies', async () => {
    const { populate, call } = await setUp();
    const off = { ...a, enabled: false };
    await populate(Array.from({ length: 1000 }, (_, i) => ({ ...off, name: `${i}` })));
    const answer = await call('POST', '/proxies', off);
    expect([answer.status, answer.json().error]).toEqual([400, 'proxies: at most 1000, this would be 1001']);
  });
});
