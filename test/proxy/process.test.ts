import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import type { ListeningEvent, ProxyEvent } from '../../src/proxy/events.ts';
import { driver, killsIn, linked, tryDial, until, upstream } from './helpers.ts';

const main = fileURLToPath(new URL('../../dist/src/proxy/main.js', import.meta.url));

interface Child {
  child: ChildProcess;
  events: ProxyEvent[];
  stderr(): string;
  /** Its exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

function start(...argv: string[]): Child {
  const child = spawn(process.execPath, [main, ...argv], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const events: ProxyEvent[] = [];
  createInterface({ input: child.stdio[3] as Readable }).on('line', line => events.push(JSON.parse(line)));
  let stderr = '';
  child.stderr!.on('data', text => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  return { child, events, stderr: () => stderr, ended };
}

async function started(...argv: string[]) {
  const process = start('-port', '0', '--events-fd', '3', ...argv);
  await until(
    () => `listening event; ${process.stderr()}`,
    () => process.events.length > 0,
  );
  const listening = process.events[0] as ListeningEvent;
  return { ...process, listening, ...driver(`http://${listening.host}:${listening.port}`) };
}

test('tells where it listens, on loopback, and answers there', async () => {
  const { listening, client } = await started('-seed', '42');
  expect(listening).toEqual({ ev: 'listening', host: '127.0.0.1', port: expect.any(Number), seed: '42' });
  expect(await client.getAll()).toEqual({});
});

test('tells each kill on the clock of its parent', async () => {
  const { proxy, events } = await started();
  const up = await upstream();
  const { add, port } = await proxy(up.port);
  await add({ type: 'idle_timeout', name: 'idle', attributes: { timeout: 120, how: 'rst' } });
  const before = realClock.nowMs();
  const { client, server } = await linked(port, up);
  const clientPort = client.socket.localPort;
  await Promise.all([client.saw('ECONNRESET'), server.saw('ECONNRESET')]);
  const after = realClock.nowMs();
  await until('the event', () => events.length > 1);
  const [kill, ...more] = killsIn(events);
  expect(more).toEqual([]);
  expect(kill).toMatchObject({ proxy: 'p', toxic: 'idle', link: 1, clientPort, how: 'rst' });
  expect(kill!.idleMs).toBeGreaterThanOrEqual(120);
  expect(kill!.at).toBeGreaterThan(before + 120);
  expect(kill!.at).toBeLessThan(after);
});

describe('ending', () => {
  async function withLink(...argv: string[]) {
    const process = await started(...argv);
    const up = await upstream();
    const { port } = await process.proxy(up.port);
    return { ...process, port, ...(await linked(port, up)) };
  }

  test.each(['SIGTERM', 'SIGINT'] as const)('%s: everything is closed, exit 0', async signal => {
    const { child, ended, client, port, stderr } = await withLink();
    child.kill(signal);
    expect([await ended, stderr()]).toEqual([0, '']);
    await client.saw('end');
    expect(await tryDial(port)).toBe('ECONNREFUSED');
  });

  test('it leaves when the pipe from its parent closes', async () => {
    const { child, ended, client } = await withLink('--parent-pipe');
    child.stdin!.end();
    expect(await ended).toBe(0);
    await client.saw('end');
  });

  test('without --parent-pipe it stays', async () => {
    const { child, client, server } = await withLink();
    child.stdin!.end();
    client.socket.write('still here');
    await server.has('still here');
  });

  test('SIGKILL of a parent with --parent-pipe leaves no proxy', async () => {
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, [${JSON.stringify(main)}, '-port', '0', '--parent-pipe'], { stdio: ['pipe', 'ignore', 'ignore'] });
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(createInterface({ input: parent.stdout }), 'line');
    expect(alive(Number(line))).toBe(true);
    parent.kill('SIGKILL');
    await until('the proxy to leave', () => !alive(Number(line)));
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // An orphan in a container may stay a zombie when nobody reaps it.
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)])
      .toString()
      .startsWith('Z');
  } catch {
    return false;
  }
}

describe('bad start', () => {
  test.each([
    [['-port', 'x'], 'poolsoak proxy: -port: expected a whole number from 0 to 65535, got "x"\n'],
    [['--events-fd', '-1'], expect.stringContaining('events-fd')],
    [['--nonsense'], expect.stringContaining('--nonsense')],
    [['stray'], expect.stringContaining('stray')],
  ])('%j: exit 64', async (argv, message) => {
    const { ended, stderr } = start(...argv);
    expect([await ended, stderr()]).toEqual([64, message]);
  });

  test('a taken port: exit 69', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const { ended, stderr } = start('-port', String(port));
    const message = `poolsoak proxy: listen tcp 127.0.0.1:${port}: bind: address already in use\n`;
    expect([await ended, stderr()]).toEqual([69, message]);
  });

  test('events that cannot be written: exit 70', async () => {
    const { ended, stderr } = start('-port', '0', '--events-fd', '99');
    expect([await ended, stderr()]).toEqual([
      70,
      expect.stringContaining('cannot write events to descriptor 99'),
    ]);
  });
});

describe('in place of toxiproxy-server', () => {
  const cli = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

  function proxyCommand(...argv: string[]) {
    const child = spawn(process.execPath, [cli, 'proxy', ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LOG_LEVEL: 'nonsense' },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', text => {
        said[name] += text;
      });
    const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
    return { child, said, ended };
  }

  function configFile(content: unknown): string {
    const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'config.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  }

  test('a config, Go style flags, where it listens, and a clean end', async () => {
    const up = await upstream();
    const listed = {
      name: 'db',
      listen: '127.0.0.1:0',
      upstream: `127.0.0.1:${up.port}`,
      toxics: [{ type: 'noop' }],
    };
    const config = configFile([listed, { ...listed, name: 'off', listen: '127.0.0.1:9', enabled: false }]);
    const { child, said, ended } = proxyCommand(
      '-port=0',
      '-config',
      config,
      '--seed=-7',
      '-proxy-metrics=true',
    );
    await until(
      () => `three lines, not ${said.stdout}${said.stderr}`,
      () => said.stdout.split('\n').length > 3,
    );
    const [api, db, off] = said.stdout.split('\n');
    const url = /^poolsoak proxy: API on (http:\/\/127\.0\.0\.1:\d+), seed -7$/.exec(api!)![1]!;
    const port = Number(/^poolsoak proxy: db: 127\.0\.0\.1:(\d+) -> 127\.0\.0\.1:\d+$/.exec(db!)![1]);
    expect(off).toBe(`poolsoak proxy: off: 127.0.0.1:9 -> ${listed.upstream} (disabled)`);
    const { client } = await linked(port, up);
    const { call } = driver(url);
    expect((await call('GET', '/proxies/db/toxics')).json()).toMatchObject([{ type: 'noop' }]);
    expect((await call('GET', '/metrics')).text).toContain('direction="upstream",listener=');
    child.kill('SIGINT');
    expect([await ended, said.stderr]).toEqual([0, '']);
    await client.saw('end');
  });

  test.each([
    ['-help', 'Usage: poolsoak proxy'],
    ['--help', 'Usage: poolsoak proxy'],
    ['-h', 'Usage: poolsoak proxy'],
    ['-version', 'poolsoak proxy version 2.12'],
    ['--version=true', 'poolsoak proxy version 2.12'],
  ])('%s', async (flag, begin) => {
    const { said, ended } = proxyCommand(flag);
    expect([await ended, said.stderr, said.stdout.slice(0, begin.length)]).toEqual([0, '', begin]);
  });

  test.each<[string, unknown, string]>([
    ['no JSON', '[{', 'JSON'],
    ['a bad toxic', [{ name: 'x', upstream: 'y:1', toxics: [{ type: 'latncy' }] }], 'invalid toxic type'],
    ['no name', [{ upstream: 'y:1' }], 'missing required field: name at proxy 1'],
  ])('a config with %s: exit 64, and it says which file', async (_what, content, message) => {
    const config = configFile(content);
    const { said, ended } = proxyCommand('-port', '0', '-config', config);
    expect([await ended, said.stderr]).toEqual([64, expect.stringContaining(`-config ${config}: `)]);
    expect(said.stderr).toContain(message);
  });

  test('a config whose port is taken: exit 69', async () => {
    const { port } = await upstream();
    const config = configFile([{ name: 'x', listen: `127.0.0.1:${port}`, upstream: 'y:1' }]);
    const { said, ended } = proxyCommand('-port', '0', '-config', config);
    expect([await ended, said.stderr]).toEqual([69, expect.stringContaining('address already in use')]);
  });

  test.each([['-proxy-metrics=maybe'], ['-port'], ['-host'], ['--frobnicate=1']])(
    '%s: exit 64',
    async flag => {
      const { said, ended } = proxyCommand(flag);
      expect([await ended, said.stderr]).toEqual([
        64,
        expect.stringContaining(flag.split('=')[0]!.replace(/^-+/, '')),
      ]);
    },
  );
});

describe('the seed', () => {
  /** Who is hit, and into how many slices each chunk is cut. */
  async function deeds(seed: string) {
    const process = await started('-seed', seed);
    const up = await upstream();
    const { add, port } = await process.proxy(up.port);
    await add({
      type: 'slicer',
      name: 'cut',
      stream: 'upstream',
      attributes: { average_size: 8, size_variation: 6 },
    });
    await add({ type: 'noop', name: 'half', toxicity: 0.5 });
    const { client } = await linked(port, up);
    for (let i = 1; i < 24; i += 1) await linked(port, up);
    const listed = (await process.call('GET', '/proxies/p/connections')).json() as { toxics: string[] }[];
    // What is held counts something for each slice, so that it tells how many there are.
    await add({ type: 'blackhole', name: 'hold', stream: 'upstream' });
    const held = async (): Promise<number> =>
      (await process.call('GET', '/proxies/p/connections')).json()[0].heldBytes.upstream;
    const cuts: number[] = [];
    for (let sent = 1000; sent <= 8000; sent += 1000) {
      const before = cuts.at(-1) ?? 0;
      client.socket.write('x'.repeat(1000));
      while ((await held()) < before + 1000);
      cuts.push(await held());
    }
    return { victims: listed.map(({ toxics }) => toxics.includes('half')), cuts };
  }

  test('gives two processes the same victims and the same cuts, and another seed others', async () => {
    const [one, same, other] = [await deeds('one'), await deeds('one'), await deeds('two')];
    expect(one.victims).toContain(true);
    expect(one.victims).toContain(false);
    expect(same).toEqual(one);
    expect(other.victims).not.toEqual(one.victims);
    expect(other.cuts).not.toEqual(one.cuts);
  });
});

describe('a slow reader', () => {
  const totalBytes = 96 * 1024 * 1024;
  const chunk = Buffer.alloc(64 * 1024, 'x');

  const rssBytes = (pid: number) =>
    1024 * Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString());

  test.each([
    ['without a toxic', null],
    ['behind a toxic that holds everything', { type: 'latency', attributes: { latency: 60_000 } }],
  ])('stops the sender instead of filling memory, %s', async (_how, use) => {
    const { proxy, child } = await started();
    const up = await upstream();
    const { add, port } = await proxy(up.port);
    const { client, server } = await linked(port, up);
    const toxic = use && (await add(use));
    const before = rssBytes(child.pid!);
    client.socket.removeAllListeners('data').pause();
    let sentBytes = 0;
    let sentMs = realClock.nowMs();
    const send = () => {
      while (sentBytes < totalBytes) {
        sentBytes += chunk.length;
        sentMs = realClock.nowMs();
        if (!server.socket.write(chunk)) return void server.socket.once('drain', send);
      }
      server.socket.end();
    };
    send();
    await until('the sender to be stopped', () => realClock.nowMs() - sentMs > 200);
    expect(sentBytes).toBeLessThan(totalBytes);
    expect(rssBytes(child.pid!) - before).toBeLessThan(48 * 1024 * 1024);
    let received = 0;
    client.socket.on('data', data => {
      received += data.length;
    });
    client.socket.resume();
    await toxic?.remove();
    await client.saw('end');
    expect(received).toBe(totalBytes);
  });

  test('a gigabyte goes through a bandwidth toxic to a reader that dawdles, in 120 MB', {
    timeout: 120_000,
  }, async () => {
    const { proxy, child } = await started();
    const up = await upstream();
    const { add, port } = await proxy(up.port);
    const { client, server } = await linked(port, up);
    await add({ type: 'bandwidth', attributes: { rate: 4_000_000 } });
    client.socket.removeAllListeners('data');
    const total = 1024 * 1024 * 1024;
    let [sent, received, most] = [0, 0, 0];
    const send = () => {
      while (sent < total) {
        sent += chunk.length;
        if (!server.socket.write(chunk)) return void server.socket.once('drain', send);
      }
      server.socket.end();
    };
    client.socket.on('data', data => {
      const before = received;
      received += data.length;
      // Every 64 MB it stops until the proxy has had time to be filled to the brim.
      if (Math.floor(before / 2 ** 26) === Math.floor(received / 2 ** 26) || received === total) return;
      client.socket.pause();
      realClock.after(30, () => {
        most = Math.max(most, rssBytes(child.pid!));
        client.socket.resume();
      });
    });
    send();
    await until('the end', () => client.events.includes('end'), 100_000);
    expect(received).toBe(total);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(120 * 1024 * 1024);
  });
});
