import { execFile, execFileSync } from 'node:child_process';
import { Toxiproxy } from 'toxiproxy-node-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { raw } from './exchange.ts';
import { type RunningServer, servers, startServer, titleOf, toxiproxyVersion } from './servers.ts';

const cli = process.env.POOLSOAK_TOXIPROXY_CLI ?? 'toxiproxy-cli';

function whyNoCli(): string | null {
  try {
    execFileSync(cli, ['--version']);
    return null;
  } catch {
    return `no ${cli}: set POOLSOAK_TOXIPROXY_CLI or have it on PATH`;
  }
}
const noCli = whyNoCli();

/** The tools people drive Toxiproxy with, as they are. */
describe.each(servers.map(kind => [titleOf(kind), kind] as const))('%s', (_title, kind) => {
  let server: RunningServer;
  beforeAll(async () => {
    if (!kind.absent) server = await startServer(kind);
  });
  afterAll(() => server?.close());
  beforeEach(async () => {
    if (kind.absent) return;
    const { body } = await raw(server.url, 'GET', '/proxies');
    for (const name of Object.keys(body as object)) await raw(server.url, 'DELETE', `/proxies/${name}`);
  });
  const p = { name: 'p', listen: '127.0.0.1:0', upstream: '127.0.0.1:1' };

  describe.skipIf(kind.absent)('toxiproxy-node-client', () => {
    it('proxies', async () => {
      const client = new Toxiproxy(server.url);
      expect(JSON.parse(await client.getVersion()).version).toMatch(new RegExp(`^${toxiproxyVersion}`));
      const made = await client.createProxy(p);
      expect(made).toMatchObject({ name: 'p', upstream: p.upstream, enabled: true });
      expect(made.listen).toMatch(/^127\.0\.0\.1:\d+$/);
      expect((await client.get('p')).toJson()).toEqual(made.toJson());
      const off = await made.update({ enabled: false } as never);
      expect(off.toJson()).toEqual({ ...made.toJson(), enabled: false });
      await client.reset();
      expect((await client.get('p')).enabled).toBe(true);
      expect(Object.keys(await client.getAll())).toEqual(['p']);
      await made.remove();
      expect(await client.getAll()).toEqual({});
      await expect(client.get('p')).rejects.toThrow('Request failed with status code 404');
    });

    it('populate', async () => {
      const client = new Toxiproxy(server.url);
      const made = await client.populate([p, { ...p, name: 'q', enabled: false }] as never);
      expect([made.p!.enabled, made.q!.enabled, Object.keys(await client.getAll()).sort()]).toEqual([
        true,
        false,
        ['p', 'q'],
      ]);
      const again = await client.populate([made.p!.toJson()] as never);
      expect(again.p!.toJson()).toEqual(made.p!.toJson());
    });

    it('toxics', async () => {
      const client = new Toxiproxy(server.url);
      const proxy = await client.createProxy(p);
      const body = { name: 't', type: 'latency', stream: 'upstream', toxicity: 0.5 } as const;
      const toxic = await proxy.addToxic({ ...body, attributes: { latency: 5, jitter: 0 } });
      expect(toxic.toJson()).toEqual({ ...body, attributes: { latency: 5, jitter: 0 } });
      const changed = await toxic.update({ attributes: { latency: 5, jitter: 3 }, toxicity: 1 } as never);
      expect((await proxy.getToxic('t')).toJson()).toEqual(changed.toJson());
      expect(changed.toJson()).toEqual({ ...body, toxicity: 1, attributes: { latency: 5, jitter: 3 } });
      await toxic.remove();
      await expect(proxy.getToxic('t')).rejects.toThrow('Request failed with status code 404');
      // In its types; but in no Toxiproxy.
      await expect(proxy.addToxic({ type: 'down', attributes: {} } as never)).rejects.toThrow(
        'Request failed with status code 400',
      );
    });
  });

  describe.skipIf(kind.absent ?? noCli)(`toxiproxy-cli${noCli ? ` (${noCli})` : ''}`, () => {
    interface Said {
      code: number;
      text: string;
    }
    const run = (...args: string[]): Promise<Said> =>
      new Promise(resolve => {
        execFile(cli, ['--host', server.url, ...args], (error, stdout, stderr) => {
          const text = (stdout + stderr).replaceAll(/127\.0\.0\.1:\d{2,}/g, '127.0.0.1:*').trim();
          resolve({ code: error ? Number(error.code) : 0, text });
        });
      });
    const said = (text: string, code = 0): Said => ({ code, text });
    const create = () => run('create', '--listen', '127.0.0.1:0', '--upstream', '127.0.0.1:1', 'p');

    it('create, list, inspect, toggle, delete', async () => {
      expect(await run('list')).toEqual(said(''));
      expect(await create()).toEqual(said('Created new proxy p'));
      expect(await create()).toEqual(
        said('Failed to create proxy: Create: HTTP 409: proxy already exists', 1),
      );
      expect(await run('list')).toEqual(said('p\t127.0.0.1:*\t127.0.0.1:1\tenabled\t0'));
      expect(await run('inspect', 'p')).toEqual(said(''));
      expect(await run('toggle', 'p')).toEqual(said('Proxy p is now disabled'));
      expect(await run('list')).toEqual(said('p\t127.0.0.1:*\t127.0.0.1:1\tdisabled\t0'));
      expect(await run('toggle', 'p')).toEqual(said('Proxy p is now enabled'));
      expect(await run('delete', 'p')).toEqual(said('Deleted proxy p'));
      expect(await run('list')).toEqual(said(''));
      const gone = 'Failed to retrieve proxy p: HTTP 404: proxy not found';
      for (const command of ['inspect', 'toggle', 'delete'])
        expect(await run(command, 'p')).toEqual(said(gone, 1));
    });

    it('toxic add, update, remove, delete', async () => {
      await create();
      const add = (...more: string[]) => run('toxic', 'add', ...more, 'p');
      expect(await add('-t', 'latency', '-n', 'slow', '-a', 'latency=100', '-a', 'jitter=50', '-u')).toEqual(
        said("Added upstream latency toxic 'slow' on proxy 'p'"),
      );
      expect(await add('-t', 'limit_data', '--toxicity', '0.5', '-a', 'bytes=10')).toEqual(
        said("Added downstream limit_data toxic 'limit_data_downstream' on proxy 'p'"),
      );
      const why = 'Failed to add toxic: failed to add toxic to proxy p: AddToxic: HTTP';
      expect(await add('-t', 'limit_data')).toEqual(said(`${why} 409: toxic already exists`, 1));
      const unknown = await add('-t', 'nope');
      expect([unknown.code, unknown.text]).toEqual([
        1,
        expect.stringMatching(`^${why} 400: invalid toxic type`),
      ]);
      expect(await run('toxic', 'update', '-n', 'slow', '-a', 'jitter=25', 'p')).toEqual(
        said("Updated toxic 'slow' on proxy 'p'"),
      );
      expect(await run('inspect', 'p')).toEqual(
        said(
          'slow\ttype=latency\tstream=upstream\ttoxicity=1.00\tattributes=[\tjitter=25\tlatency=100\t]\n' +
            'limit_data_downstream\ttype=limit_data\tstream=downstream\ttoxicity=0.50\tattributes=[\tbytes=10\t]',
        ),
      );
      expect(await run('toxic', 'remove', '-n', 'slow', 'p')).toEqual(
        said("Removed toxic 'slow' on proxy 'p'"),
      );
      const remove = () => run('toxic', 'delete', '-n', 'limit_data_downstream', 'p');
      expect(await remove()).toEqual(said("Removed toxic 'limit_data_downstream' on proxy 'p'"));
      expect(await remove()).toEqual(
        said(
          "Failed to remove toxic: failed to remove toxic 'limit_data_downstream' from proxy 'p': HTTP 404: toxic not found",
          1,
        ),
      );
      expect(await run('inspect', 'p')).toEqual(said(''));
    });
  });
});
