import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
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
});
