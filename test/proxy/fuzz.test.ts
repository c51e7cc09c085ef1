import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Clock, realClock } from '../../src/clock.ts';
import { toxics } from '../../src/proxy/installed-toxic.ts';
import type { Attribute } from '../../src/proxy/toxics/toxic.ts';
import { type Random, seeded } from '../../src/random.ts';
import { proxyServer, until, upstream } from './helpers.ts';

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random.next() * from.length)]!;
const below = (random: Random, n: number): number => Math.floor(random.next() * n);

/** Values no client should send, and some it may. */
const odd = [
  null,
  -1,
  0,
  1,
  1.5,
  2 ** 31,
  1e300,
  '',
  'x',
  true,
  [],
  {},
  [[]],
  { a: 1 },
  'upstream',
  '127.0.0.1:0',
];

function attribute(random: Random, shape: Attribute): unknown {
  if (random.next() < 0.1) return pick(random, odd);
  if (shape.kind === 'choice') return pick(random, shape.of);
  // Some timers end within the test, some never would.
  return (shape.min ?? 0) + below(random, random.next() < 0.3 ? 100_000 : 40);
}

function toxicBody(random: Random): object {
  const type = pick(random, [...Object.keys(toxics), 'unknown']);
  const shape = Object.entries(toxics[type]?.attributes ?? {});
  const select = pick(random, [
    { oldest: 3 },
    { newest: 2 },
    { idleFor: 5 },
    { idleFor: 50_000 },
    { olderThan: 9 },
    { odd: 1 },
    7,
    null,
  ]);
  return {
    type,
    name: `t${below(random, 6)}`,
    stream: pick(random, ['upstream', 'downstream', 'Downstream', 'sideways']),
    toxicity: pick(random, [0, 0.3, 1, 1, 1, 'x']),
    attributes: Object.fromEntries(shape.map(([name, value]) => [name, attribute(random, value)])),
    ...(random.next() < 0.3 && { select }),
  };
}

function proxyBody(random: Random): object {
  const body: Record<string, unknown> = {
    name: `p${below(random, 4)}`,
    listen: '127.0.0.1:0',
    upstream: pick(random, ['127.0.0.1:1', 'nonsense', '127.0.0.1:0']),
    enabled: random.next() < 0.9,
    mirror: random.next() < 0.1,
  };
  if (random.next() < 0.3) body[pick(random, Object.keys(body))] = pick(random, odd);
  if (random.next() < 0.2) body.toxics = pick(random, [[toxicBody(random)], null, 7]);
  return body;
}

interface Call {
  method: string;
  path: string;
  body?: unknown;
}

/** `main` is the proxy that carries the connections: it may be given toxics and be switched, not lost. */
function anyCall(random: Random): Call {
  // Seldom, or nothing would live long enough to go wrong.
  if (random.next() < 0.01) return { method: 'POST', path: '/reset' };
  if (random.next() < 0.02)
    return { method: 'POST', path: '/proxies/main', body: { enabled: random.next() < 0.7 } };
  const proxy = `/proxies/${pick(random, ['main', 'main', 'main', 'main', 'main', 'main', 'main', 'main', 'main', 'p0', 'p1', 'p2', 'p3', 'none', '%zz'])}`;
  const other = `/proxies/p${below(random, 4)}`;
  const toxic = `${proxy}/toxics/t${below(random, 6)}`;
  return pick<() => Call>(random, [
    () => ({ method: 'POST', path: `${proxy}/toxics`, body: toxicBody(random) }),
    () => ({ method: 'POST', path: `${proxy}/toxics`, body: toxicBody(random) }),
    () => ({ method: pick(random, ['POST', 'PATCH']), path: toxic, body: toxicBody(random) }),
    () => ({ method: 'DELETE', path: toxic }),
    () => ({ method: 'DELETE', path: toxic }),
    () => ({
      method: 'GET',
      path: pick(random, [toxic, `${proxy}/toxics`, '/proxies', '/version', '/metrics']),
    }),
    () => ({ method: 'POST', path: '/proxies', body: proxyBody(random) }),
    () => ({ method: 'POST', path: '/populate', body: [proxyBody(random), proxyBody(random)] }),
    () => ({ method: 'PATCH', path: other, body: proxyBody(random) }),
    () => ({ method: 'DELETE', path: other }),
    () => ({ method: 'GET', path: `${proxy}/connections` }),
    () => ({
      method: 'DELETE',
      path: `${proxy}/connections/${below(random, 600)}?how=${pick(random, ['rst', 'fin', 'drop', 'x'])}`,
    }),
    () => ({
      method: pick(random, ['PUT', 'HEAD', 'DELETE']),
      path: pick(random, ['/proxies', '/reset', '/x', '//']),
    }),
    () => ({
      method: 'POST',
      path: pick(random, ['/proxies', '/populate', toxic]),
      body: pick(random, ['{', '', '7', '"x"']),
    }),
  ])();
}

/** A client that opens, says something now and then, and leaves in one of its ways. False: it was refused. */
function lively(port: number, random: Random): Promise<boolean> {
  return new Promise(resolve => {
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: random.next() < 0.3 });
    let steps = 1 + below(random, 6);
    let accepted = false;
    const step = () => {
      accepted = true;
      if (socket.destroyed) return;
      steps -= 1;
      if (steps > 0) socket.write('x'.repeat(1 + below(random, 5000)));
      else pick(random, [() => socket.end(), () => socket.destroy(), () => socket.resetAndDestroy()])();
      const timer = setTimeout(steps > 0 ? step : () => socket.destroy(), 1 + below(random, 30));
      socket.once('close', () => clearTimeout(timer));
    };
    socket.on('data', () => {}).on('error', () => {});
    socket.on('connect', step).on('close', () => resolve(accepted));
  });
}

/** Real time, and how many timers of the proxy are running. */
function countingClock(): Clock & { running(): number } {
  let running = 0;
  const counted = (ms: number, act: () => void): (() => void) => {
    let done = false;
    const over = () => {
      if (!done) running -= 1;
      done = true;
    };
    running += 1;
    const cancel = realClock.after(ms, () => {
      over();
      act();
    });
    return () => {
      over();
      cancel();
    };
  };
  return { ...realClock, after: counted, running: () => running };
}

describe.each(['one', 'two'])('with seed %s', seed => {
  const random = seeded('fuzz', seed);

  test('2000 requests while 500 connections come and go: it answers, and nothing is left behind', async () => {
    const clock = countingClock();
    const server = await proxyServer(clock, seed);
    const up = await upstream(0, ({ socket }) => {
      socket.on('data', chunk => void (socket.destroyed || socket.write(chunk)));
      socket.on('end', () => socket.end());
    });
    const { port } = await server.proxy(up.port, { name: 'main' });
    const statuses = new Map<number, number>();
    const odder: string[] = [];
    let talking = 4;
    let accepted = 0;
    const talk = async (from: Random) => {
      for (let i = 0; i < 500; i += 1) {
        const { method, path, body } = anyCall(from);
        const { status, text } = await server.call(method, path, body);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        // The only failure that is the server's own: a listener that is opened or an address that is none.
        if (status >= 500 && !/listen tcp|address|lookup|port/.test(text))
          odder.push(`${method} ${path}: ${text}`);
      }
      talking -= 1;
      // The connections still to come find everything open.
      if (talking === 0) await server.call('POST', '/reset');
    };
    const live = async (from: Random) => {
      while (talking > 0 || accepted < 500) {
        if (await lively(port, from)) accepted += 1;
        else await realClock.sleepMs(5);
      }
    };
    await Promise.all([
      ...[1, 2, 3, 4].map(n => talk(random.fork('talk', n))),
      ...Array.from({ length: 20 }, (_, n) => live(random.fork('live', n))),
    ]);
    expect(accepted).toBeGreaterThanOrEqual(500);
    expect(server.kills().length).toBeGreaterThan(10);
    expect(odder).toEqual([]);
    expect([...statuses.keys()].sort()).toEqual(expect.arrayContaining([200, 201, 204, 400, 404, 405, 409]));
    // With every toxic gone and the listener open, what the clients have left goes by itself.
    expect((await server.call('GET', '/proxies/main')).json()).toMatchObject({ enabled: true, toxics: [] });
    const left = async () =>
      (await server.call('GET', '/proxies/main/connections')).json() as { state: string }[];
    const undropped = async () => (await left()).filter(({ state }) => state !== 'dropped');
    let now = await undropped();
    await until(
      () => `no connection left: ${JSON.stringify(now)}`,
      () => {
        void undropped().then(list => {
          now = list;
        });
        return now.length === 0;
      },
    );
    await server.call('POST', '/proxies/main', { enabled: false });
    expect(await left()).toEqual([]);
    expect(clock.running()).toBe(0);
  }, 120_000);
});
