import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ports, raw } from './exchange.ts';
import { type RunningServer, servers, startServer, titleOf } from './servers.ts';
import { expected, rooms, type Story } from './story.ts';

/** In every proxy's JSON: left out of the stories, asserted once below. */
const ownFields = new Set(['Logger', 'mirror']);
const withoutOwn = (body: unknown): unknown =>
  body === undefined
    ? body
    : JSON.parse(JSON.stringify(body, (key, value) => (ownFields.has(key) ? undefined : value)));

describe.each(servers.map(kind => [titleOf(kind), kind] as const))('%s', (_title, kind) => {
  let server: RunningServer;
  beforeAll(async () => {
    if (!kind.absent) server = await startServer(kind);
  });
  afterAll(() => server?.close());
  const call = (
    ...[method, path, sent, headers]: Parameters<typeof raw> extends [string, ...infer R] ? R : never
  ) => raw(server.url, method, path, sent, headers);

  async function clear(): Promise<void> {
    const { body } = await call('GET', '/proxies');
    // One with a slash in its name cannot be removed from Toxiproxy.
    for (const name of Object.keys(body as object))
      await call('DELETE', `/proxies/${encodeURIComponent(name)}`);
  }

  async function play(story: Story): Promise<void> {
    const ports = new Ports();
    for (const step of story.steps) {
      const { method, path, sent } = step;
      const answer = await call(method, path, ports.show(sent));
      ports.learn(answer.body);
      const seen = { status: answer.status, body: ports.hide(withoutOwn(answer.body)) };
      expect(seen, `${method} ${path} ${sent}`).toEqual(expected(step, server.name));
    }
  }

  describe.skipIf(kind.absent)('stories', () => {
    const all = rooms.flatMap(({ room, stories }) =>
      stories.map(story => [room, story.name, story] as const),
    );
    it.each(all)('%s: %s', async (_room, _name, story) => {
      await clear();
      await play(story);
    });
  });

  describe.skipIf(kind.absent)('beside the stories', () => {
    const a = { name: 'a', listen: '127.0.0.1:0', upstream: 'up:1', enabled: false };

    it('the fields of a proxy', async () => {
      await clear();
      const { body } = await call('POST', '/proxies', a);
      const common = { ...a, toxics: [] };
      // difference: fields
      const own = server.name === 'embedded' ? { mirror: false } : { Logger: {} };
      expect(body).toEqual({ ...common, ...own });
    });

    it('content types', async () => {
      await clear();
      const types: (string | undefined)[] = [];
      for (const [method, path, sent] of [
        ['POST', '/proxies', a],
        ['GET', '/proxies'],
        ['POST', '/proxies/a/toxics', { type: 'noop' }],
        ['PATCH', '/proxies/a/toxics/noop_downstream', {}],
        ['GET', '/proxies/a/toxics'],
        ['POST', '/populate', []],
        ['POST', '/reset'],
        ['DELETE', '/proxies/a'],
        ['GET', '/proxies/a'],
        ['GET', '/nothing'],
        ['PUT', '/proxies'],
        ['GET', '/version'],
      ] as const)
        types.push((await call(method, path, sent)).type?.replace(/; ?/, '; '));
      const [json, text] = ['application/json', 'text/plain; charset=utf-8'];
      const none = undefined;
      // difference: version
      const version = server.name === 'embedded' ? json : 'application/json; charset=utf-8';
      expect(types).toEqual([json, json, json, json, json, json, none, none, text, text, none, version]);
    });

    it('a body of more than a MiB', async () => {
      await clear();
      const answer = await call('POST', '/proxies', { name: 'x'.repeat(1024 * 1024) });
      // difference: body-limit
      const ours = 'request body: at most 1048576 bytes, got 1048587';
      const error = server.name === 'embedded' ? ours : 'missing required field: upstream';
      expect(answer.body).toEqual({ error, status: server.name === 'embedded' ? 413 : 400 });
    });

    it('a hundred toxics, and one more', async () => {
      await clear();
      await call('POST', '/proxies', a);
      const statuses: number[] = [];
      for (let n = 0; n <= 100; n += 1)
        statuses.push((await call('POST', '/proxies/a/toxics', { type: 'noop', name: `${n}` })).status);
      // difference: toxics-limit
      const last = server.name === 'embedded' ? 400 : 200;
      expect(statuses).toEqual([...Array.from({ length: 100 }, () => 200), last]);
    });

    it.each([
      ['GET', '/version', 403, 'User agent not allowed\n'],
      ['POST', '/proxies', 403, 'User agent not allowed\n'],
      ['GET', '/nothing', 404, '404 page not found\n'],
      ['PUT', '/proxies', 405, ''],
    ])('a browser: %s %s is %i', async (method, path, status, text) => {
      const answer = await call(method, path, undefined, { 'user-agent': 'Mozilla/5.0 (X11)' });
      expect([answer.status, answer.text]).toEqual([status, text]);
    });

    it('a browser in small letters, or further on in the name, is none', async () => {
      for (const agent of ['mozilla/5.0', 'curl Mozilla/5.0'])
        expect((await call('GET', '/version', undefined, { 'user-agent': agent })).status).toBe(200);
    });
  });
});
