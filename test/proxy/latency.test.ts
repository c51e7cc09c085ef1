import { describe, expect, test } from 'vitest';
import { linked, ManualClock, type Peer, proxyServer, settled, until, upstream } from './helpers.ts';

type Side = 'upstream' | 'downstream';

async function setUp(stream: Side, attributes: object, seed?: string) {
  const clock = new ManualClock();
  const server = await proxyServer(clock, seed);
  const up = await upstream();
  const proxy = await server.proxy(up.port);
  const link = await linked(proxy.port, up);
  const toxic = await proxy.add({ type: 'latency', name: 'lag', stream, attributes: { ...attributes } });
  const [from, to] = stream === 'upstream' ? [link.client, link.server] : [link.server, link.client];
  return { clock, proxy, toxic, from, to, settle: () => settled(server) };
}

/** Sent, and surely in the toxic's hands. */
async function send(from: Peer, text: string, settle: () => Promise<void>): Promise<void> {
  from.socket.write(text);
  await settle();
}

describe.each<Side>(['upstream', 'downstream'])('latency %s', stream => {
  test('holds each chunk for its time, in that direction only', async () => {
    const { clock, from, to, settle } = await setUp(stream, { latency: 100 });
    await send(from, 'a', settle);
    clock.advance(60);
    await send(from, 'b', settle);
    to.socket.write('at once');
    await from.has('at once');
    clock.advance(39);
    await settle();
    expect(to.text).toBe('');
    clock.advance(1);
    await to.has('a');
    clock.advance(60);
    await to.has('ab');
  });

  test('the end comes after the bytes', async () => {
    const { clock, from, to, settle } = await setUp(stream, { latency: 100 });
    from.socket.end('bye');
    await settle();
    expect([to.text, to.events]).toEqual(['', []]);
    clock.advance(100);
    await to.saw('end');
    expect(to.text).toBe('bye');
  });

  test('removing it lets go of everything in order, before what comes then', async () => {
    const { clock, from, to, toxic, settle } = await setUp(stream, { latency: 60_000 });
    for (const text of ['a', 'b', 'c']) await send(from, text, settle);
    await toxic.remove();
    from.socket.write('d');
    await to.has('abcd');
    expect(clock.pending).toBe(0);
  });
});

test('a new latency holds for what is on its way', async () => {
  const { clock, from, to, toxic, settle } = await setUp('upstream', { latency: 60_000 });
  await send(from, 'a', settle);
  clock.advance(50);
  await toxic.update({ attributes: { latency: 80 } } as never);
  clock.advance(29);
  await settle();
  expect(to.text).toBe('');
  clock.advance(1);
  await to.has('a');
});

test('jitter keeps the order, stays within its bounds and comes from the seed', async () => {
  const delays = async (seed: string) => {
    const { clock, from, to, settle } = await setUp('upstream', { latency: 100, jitter: 50 }, seed);
    const arrivals: number[] = [];
    const startMs = clock.nowMs();
    for (const text of ['a', 'b', 'c', 'd']) {
      await send(from, text, settle);
      while (clock.pending > 0) clock.advance(1);
      arrivals.push(clock.nowMs() - startMs);
    }
    await to.has('abcd');
    return arrivals.map((at, i) => at - (arrivals[i - 1] ?? 0));
  };
  const one = await delays('one');
  for (const delay of one) expect(delay >= 50 && delay <= 151, `${delay} ms`).toBe(true);
  expect(new Set(one).size).toBeGreaterThan(1);
  expect(await delays('one')).toEqual(one);
  expect(await delays('two')).not.toEqual(one);
});

test('it stands in the chain where it was put: two latencies add up', async () => {
  const { clock, proxy, from, to, settle } = await setUp('upstream', { latency: 100 });
  await proxy.add({ type: 'latency', name: 'more', stream: 'upstream', attributes: { latency: 50 } });
  await send(from, 'a', settle);
  clock.advance(100);
  await until('the second one to hold it', () => clock.pending === 1);
  clock.advance(49);
  await settle();
  expect(to.text).toBe('');
  clock.advance(1);
  await to.has('a');
});
