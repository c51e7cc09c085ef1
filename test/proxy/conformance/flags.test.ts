import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../helpers.ts';
import { raw } from './exchange.ts';
import { type RunningServer, type ServerKind, servers, startServer, titleOf } from './servers.ts';
import { Stage } from './stage.ts';

function run({ program, args }: ServerKind, ...flags: string[]): Promise<{ code: number; text: string }> {
  return new Promise(resolve => {
    execFile(program, [...args, ...flags], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, text: stdout + stderr }),
    );
  });
}

/** The flags both take, each with a server of its own. */
describe.each(servers.map(kind => [titleOf(kind), kind] as const))('%s', (_title, kind) => {
  const ours = kind.name === 'embedded';
  const test = it.skipIf(kind.absent).concurrent;
  const open: RunningServer[] = [];
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'poolsoak-flags-'));
  });
  afterAll(async () => {
    await Promise.all(open.map(server => server.close()));
    rmSync(folder, { recursive: true });
  });
  async function start(...flags: string[]): Promise<RunningServer> {
    const server = await startServer(kind, flags);
    open.push(server);
    return server;
  }
  const config = (content: string): string => {
    const path = join(mkdtempSync(join(folder, '-')), 'config.json');
    writeFileSync(path, content);
    return path;
  };

  test('-version', async () => {
    const { code, text } = await run(kind, '-version');
    // difference: version
    const said = ours ? 'poolsoak proxy version 2.12.0+poolsoak\n' : 'toxiproxy-server version 2.12.0\n';
    expect([code, text]).toEqual([0, said]);
  });

  test('-config: proxies to begin with', async () => {
    const listen = '127.0.0.1:0';
    const list = [
      { name: 'a', listen, upstream: 'up:1' },
      { name: 'b', listen, upstream: 'up:2', enabled: false },
    ];
    const { url } = await start('-config', config(JSON.stringify(list)));
    const { body } = await raw(url, 'GET', '/proxies');
    const seen = body as Record<string, { enabled: boolean; listen: string }>;
    expect(Object.entries(seen).map(([name, { enabled }]) => [name, enabled])).toEqual([
      ['a', true],
      ['b', false],
    ]);
    expect(seen.a!.listen).toMatch(/^127\.0\.0\.1:[1-9]/);
  });

  test('-config: a file that is none', async () => {
    const starting = start('-config', config('{'));
    // difference: bad-config
    if (ours) await expect(starting).rejects.toThrow(/-config .*config\.json: /);
    else expect((await raw((await starting).url, 'GET', '/proxies')).body).toEqual({});
  });

  test('an unknown flag', async () => {
    const { code, text } = await run(kind, '-nonsense');
    // difference: exit-codes
    expect([code, text]).toEqual([ours ? 64 : 2, expect.stringContaining('nonsense')]);
  });

  test('without a flag there are no metrics', async () => {
    const { url } = await start();
    expect(await raw(url, 'GET', '/metrics')).toMatchObject({ status: 404, text: '404 page not found\n' });
  });

  test('-proxy-metrics: bytes by proxy and direction', async () => {
    const server = await start('-proxy-metrics');
    const stage = new Stage(server);
    await stage.open();
    const bytes = async (): Promise<string[]> => {
      const { text } = await raw(server.url, 'GET', '/metrics');
      const found = text.matchAll(/^toxiproxy_proxy_(\w+)_bytes_total\{direction="(\w+)",.*\} (\d+)$/gm);
      return [...found].map(([, what, direction, count]) => `${what} ${direction} ${count}`).sort();
    };
    try {
      const link = await stage.live();
      const all = ['received downstream 2', 'received upstream 2', 'sent downstream 2', 'sent upstream 2'];
      // difference: metrics
      expect(await bytes()).toEqual(ours ? all : []);
      link.client.socket.destroy();
      let seen: string[] = [];
      await until(
        () => `all bytes, has ${seen}`,
        () => {
          void bytes().then(now => {
            seen = now;
          });
          return seen.length === 4;
        },
      );
      expect(seen).toEqual(all);
      const { type, text } = await raw(server.url, 'GET', '/metrics');
      expect(type).toMatch(/^text\/plain; version=0\.0\.4; charset=utf-8/);
      const label = `{direction="upstream",listener="127.0.0.1:${stage.port}",proxy="${stage.name}",upstream="127.0.0.1:`;
      expect(text).toContain(`toxiproxy_proxy_received_bytes_total${label}`);
      expect(text.includes('poolsoak_proxy_accepted_total')).toBe(ours);
    } finally {
      await stage.close();
    }
  });

  test('-runtime-metrics: the process', async () => {
    const { url } = await start('-runtime-metrics');
    const { status, text } = await raw(url, 'GET', '/metrics');
    expect([status, text]).toEqual([200, expect.stringMatching(/^process_resident_memory_bytes \S+$/m)]);
  });
});
