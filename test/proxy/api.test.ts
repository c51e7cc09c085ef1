import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { bodyBytesMax } from '../../src/proxy/body.ts';
import { toxics } from '../../src/proxy/installed-toxic.ts';
import { echo, portIn, proxyServer } from './helpers.ts';

const proxyBody = { name: 'a', listen: '127.0.0.1:0', upstream: '127.0.0.1:1' };
const withA = async () => {
  const server = await proxyServer();
  expect((await server.call('POST', '/proxies', proxyBody)).status).toBe(201);
  return server;
};

describe('proxies', () => {
  test('a created one is shown with its real port and the defaults', async () => {
    const { call } = await proxyServer();
    const created = await call('POST', '/proxies', proxyBody);
    expect(created.status).toBe(201);
    const shown = { ...proxyBody, enabled: true, mirror: false, toxics: [], listen: created.json().listen };
    expect(created.json()).toEqual(shown);
    expect(portIn(shown.listen)).toBeGreaterThan(0);
    expect((await call('GET', '/proxies')).json()).toEqual({ a: shown });
    expect((await call('GET', '/proxies/a')).json()).toEqual(shown);
  });

  test('the stock client passes the field mirror on, at creation and at change', async () => {
    const server = await proxyServer();
    const { port } = await echo();
    const { update } = await server.proxy(port, { mirror: true });
    const mirror = async () => (await server.call('GET', '/proxies/p')).json().mirror;
    expect(await mirror()).toBe(true);
    await update({ mirror: false });
    expect(await mirror()).toBe(false);
  });

  test('a change keeps what it does not name, and its port', async () => {
    const { call } = await withA();
    const before = (await call('GET', '/proxies/a')).json();
    for (const [method, enabled] of [
      ['POST', false],
      ['PATCH', true],
    ] as const) {
      const changed = await call(method, '/proxies/a', { enabled });
      expect([changed.status, changed.json()]).toEqual([200, { ...before, enabled }]);
    }
    const moved = await call('POST', '/proxies/a', { upstream: '127.0.0.1:2', name: 'ignored' });
    expect(moved.json()).toEqual({ ...before, upstream: '127.0.0.1:2' });
  });

  test('delete, and reset: everything enabled, no toxic', async () => {
    const { call } = await withA();
    await call('POST', '/proxies/a/toxics', { type: 'noop' });
    await call('POST', '/proxies/a', { enabled: false });
    expect(await call('POST', '/reset')).toMatchObject({ status: 204, text: '' });
    expect((await call('GET', '/proxies/a')).json()).toMatchObject({ enabled: true, toxics: [] });
    expect(await call('DELETE', '/proxies/a')).toMatchObject({ status: 204, text: '' });
    expect((await call('GET', '/proxies/a')).status).toBe(404);
  });

  test('two at once with one name: one is created', async () => {
    const { call } = await proxyServer();
    const both = await Promise.all([1, 2].map(() => call('POST', '/proxies', proxyBody)));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
  });
});

describe('toxics', () => {
  test('defaults, listing order, change and removal', async () => {
    const { call } = await withA();
    const plain = { attributes: { latency: 0, jitter: 0 }, name: 'latency_downstream', type: 'latency' };
    const added = await call('POST', '/proxies/a/toxics', { type: 'latency' });
    expect([added.status, added.json()]).toEqual([200, { ...plain, stream: 'downstream', toxicity: 1 }]);
    await call('POST', '/proxies/a/toxics', { type: 'noop', name: 'n', stream: 'UPSTREAM', toxicity: 0.5 });
    const names = (await call('GET', '/proxies/a/toxics')).json().map(({ name }: { name: string }) => name);
    expect(names).toEqual(['n', 'latency_downstream']);
    const path = '/proxies/a/toxics/latency_downstream';
    await call('POST', path, { attributes: { latency: 7 } });
    const changed = await call('PATCH', path, { attributes: { jitter: 3 }, toxicity: 0.25, name: 'ignored' });
    const now = { ...plain, attributes: { latency: 7, jitter: 3 }, stream: 'downstream', toxicity: 0.25 };
    expect([changed.status, changed.json(), (await call('GET', path)).json()]).toEqual([200, now, now]);
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
  });

  test('fields in any case, as in Toxiproxy', async () => {
    const { call } = await withA();
    const added = await call('POST', '/proxies/a/toxics', {
      Type: 'latency',
      STREAM: 'upstream',
      Attributes: { Latency: 3 },
    });
    expect(added.json()).toMatchObject({ name: 'latency_upstream', attributes: { latency: 3 } });
  });

  test('idle_timeout by the stock client', async () => {
    const server = await proxyServer();
    const { add } = await server.proxy((await echo()).port);
    const toxic = await add({
      type: 'idle_timeout',
      name: 'idle',
      attributes: { timeout: 60_000, how: 'fin' },
    });
    expect(toxic.attributes).toEqual({ timeout: 60_000, how: 'fin', giveUp: 924_000 });
    expect((await toxic.update({ attributes: { how: 'rst' } } as never)).attributes).toMatchObject({
      how: 'rst',
    });
    await toxic.remove();
  });

  test('a refused change leaves the toxic as it was', async () => {
    const { call } = await withA();
    await call('POST', '/proxies/a/toxics', { type: 'latency', name: 'l', attributes: { latency: 1 } });
    const bad = await call('POST', '/proxies/a/toxics/l', {
      toxicity: 0,
      attributes: { latency: 2, jitter: 'x' },
    });
    expect(bad.status).toBe(400);
    const after = (await call('GET', '/proxies/a/toxics/l')).json();
    expect(after).toMatchObject({ toxicity: 1, attributes: { latency: 1, jitter: 0 } });
  });
});

// Statuses and bodies as Toxiproxy 2.12 sends them, but for ill-typed fields, which it names in Go's words.
describe('errors', () => {
  const toxic = '/proxies/a/toxics';
  const unknownType = `invalid toxic type, known: ${Object.keys(toxics).join(', ')}`;
  const noStream = 'stream was invalid, can be either upstream or downstream';
  test.each<[string, string, unknown, number, string]>([
    ['GET', '/proxies/none', undefined, 404, 'proxy not found'],
    ['DELETE', '/proxies/none', undefined, 404, 'proxy not found'],
    ['POST', '/proxies/none', {}, 404, 'proxy not found'],
    ['POST', '/proxies/none/toxics', { type: 'noop' }, 404, 'proxy not found'],
    ['GET', `${toxic}/none`, undefined, 404, 'toxic not found'],
    ['PATCH', `${toxic}/none`, {}, 404, 'toxic not found'],
    ['DELETE', `${toxic}/none`, undefined, 404, 'toxic not found'],
    ['POST', '/proxies', proxyBody, 409, 'proxy already exists'],
    ['POST', '/proxies', { upstream: 'x:1' }, 400, 'missing required field: name'],
    ['POST', '/proxies', { name: 'x' }, 400, 'missing required field: upstream'],
    ['POST', '/proxies', 'null', 400, 'missing required field: name'],
    ['POST', '/proxies', '', 400, 'bad request body: EOF'],
    ['POST', '/proxies', '[]', 400, 'bad request body: expected object, got array'],
    [
      'POST',
      '/proxies',
      { ...proxyBody, name: 5 },
      400,
      'bad request body: name: expected string, got number',
    ],
    [
      'POST',
      '/proxies',
      { ...proxyBody, enabled: 'yes' },
      400,
      'bad request body: enabled: expected boolean, got string',
    ],
    ['POST', '/proxies/a', { mirror: 1 }, 400, 'bad request body: mirror: expected boolean, got number'],
    [
      'POST',
      '/proxies',
      { ...proxyBody, name: 'x', listen: 'x' },
      500,
      'listen tcp: address x: missing port in address',
    ],
    ['POST', '/proxies/a', { listen: 'x' }, 500, 'address x: missing port in address'],
    ['POST', toxic, { type: 'nope' }, 400, unknownType],
    ['POST', toxic, { type: 'toString' }, 400, unknownType],
    ['POST', toxic, { type: 'noop', stream: 'sideways' }, 400, noStream],
    [
      'POST',
      toxic,
      { type: 'noop', toxicity: 'x' },
      400,
      'bad request body: toxicity: expected number, got string',
    ],
    [
      'POST',
      toxic,
      { type: 'latency', attributes: [] },
      400,
      'bad request body: attributes: expected object, got array',
    ],
    [
      'POST',
      toxic,
      { type: 'latency', attributes: { latency: 1.5 } },
      400,
      'bad request body: attributes.latency: expected integer, got 1.5',
    ],
    [
      'POST',
      toxic,
      { type: 'idle_timeout' },
      400,
      'bad request body: attributes.timeout: must be at least 1, is 0',
    ],
    [
      'POST',
      toxic,
      { type: 'idle_timeout', attributes: { timeout: 2 ** 31 } },
      400,
      'bad request body: attributes.timeout: must be at most 2147483647, is 2147483648',
    ],
    [
      'POST',
      toxic,
      { type: 'idle_timeout', attributes: { timeout: 1, how: 'x' } },
      400,
      'bad request body: attributes.how: expected one of drop, fin, rst, got "x"',
    ],
  ])('%s %s %j: %i', async (method, path, body, status, error) => {
    const { call } = await withA();
    const answer = await call(method, path, body);
    expect([answer.status, answer.json()]).toEqual([status, { error, status }]);
  });

  test('a taken port, in the words of Toxiproxy', async () => {
    const { call } = await withA();
    const { listen } = (await call('GET', '/proxies/a')).json();
    const answer = await call('POST', '/proxies', { ...proxyBody, name: 'b', listen });
    const error = `listen tcp ${listen}: bind: address already in use`;
    expect([answer.status, answer.json()]).toEqual([500, { error, status: 500 }]);
    expect((await call('GET', '/proxies/b')).status).toBe(404);
  });

  test('a toxic that is there already', async () => {
    const { call } = await withA();
    await call('POST', toxic, { type: 'noop' });
    const answer = await call('POST', toxic, { type: 'noop' });
    expect([answer.status, answer.json()]).toEqual([409, { error: 'toxic already exists', status: 409 }]);
  });

  test('unknown path, wrong method, broken escape', async () => {
    const { call } = await withA();
    expect(await call('GET', '/nothing')).toMatchObject({ status: 404, text: '404 page not found\n' });
    expect(await call('PUT', '/proxies')).toMatchObject({ status: 405, text: '' });
    expect((await call('GET', '/proxies/%zz')).status).toBe(400);
  });

  test('a body above the limit names the limit and what came', async () => {
    const { call } = await withA();
    const answer = await call('POST', '/proxies', `{"name": "${'x'.repeat(bodyBytesMax)}"}`);
    const error = `request body: at most ${bodyBytesMax} bytes, got ${bodyBytesMax + 12}`;
    expect([answer.status, answer.json()]).toEqual([413, { error, status: 413 }]);
  });

  test('a browser is turned away', async () => {
    const { url } = await proxyServer();
    const status = await new Promise(resolve => {
      request(`${url}/version`, { headers: { 'user-agent': 'Mozilla/5.0' } }, response => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(403);
  });
});

test('the version names the Toxiproxy it stands in for', async () => {
  const { client } = await proxyServer();
  expect(JSON.parse(await client.getVersion())).toEqual({ version: expect.stringMatching(/^2\.12\./) });
});
