import { describe, expect, test } from 'vitest';
import { linked, ManualClock, type Peer, proxyServer, settled, upstream } from './helpers.ts';

async function setUp(type: string, attributes: object, stream: 'upstream' | 'downstream' = 'upstream') {
  const clock = new ManualClock();
  const server = await proxyServer(clock);
  const up = await upstream();
  const proxy = await server.proxy(up.port);
  const { client, server: database } = await linked(proxy.port, up);
  const add = () => proxy.add({ type, name: 't', stream, attributes: { ...attributes } });
  const toxic = await add();
  const [from, to] = stream === 'upstream' ? [client, database] : [database, client];
  const settle = () => settled(server);
  /** New attributes or toxicity. */
  const change = async (body: object) => {
    const answer = await server.call('POST', '/proxies/p/toxics/t', body);
    expect(answer.status).toBe(200);
  };
  const send = async (text: string) => {
    from.socket.write(text);
    await settle();
  };
  return { clock, server, up, proxy, toxic, from, to, settle, change, send, kills: server.kills };
}

const both = ['upstream', 'downstream'] as const;
const untold = (...peers: Peer[]) => {
  for (const peer of peers) expect(peer.events).toEqual([]);
};

describe.each(both)('bandwidth %s', stream => {
  test('lets 1000 bytes a KB pass, in pieces of 100 ms, the other direction free', async () => {
    const { clock, from, to, send, settle } = await setUp('bandwidth', { rate: 2 }, stream);
    await send('x'.repeat(500));
    to.socket.write('free');
    await from.has('free');
    for (const [ms, bytes] of [
      [99, 0],
      [1, 200],
      [100, 400],
      [49, 400],
      [1, 500],
    ] as const) {
      clock.advance(ms);
      await settle();
      expect(to.received.length).toBe(bytes);
    }
    expect(clock.pending).toBe(0);
  });

  test('0 stalls; a rate or the removal lets everything go on', async () => {
    const { clock, to, change, toxic, send, settle } = await setUp('bandwidth', { rate: 0 }, stream);
    await send('abc');
    clock.advance(1_000_000);
    await settle();
    expect(to.text).toBe('');
    await change({ attributes: { rate: 1 } });
    clock.advance(3);
    await to.has('abc');
    await change({ attributes: { rate: 0 } });
    await send('def');
    await toxic.remove();
    await to.has('abcdef');
    untold(to);
  });

  test('time unused is not saved up', async () => {
    const { clock, to, send, settle } = await setUp('bandwidth', { rate: 1 }, stream);
    clock.advance(60_000);
    await send('x'.repeat(50));
    clock.advance(49);
    await settle();
    expect(to.text).toBe('');
    clock.advance(1);
    await to.has('x'.repeat(50));
  });
});

describe.each(both)('slow_close %s', stream => {
  test('passes bytes at once and the end after its delay', async () => {
    const { clock, from, to, settle } = await setUp('slow_close', { delay: 500 }, stream);
    from.socket.end('bye');
    await to.has('bye');
    clock.advance(499);
    await settle();
    untold(to);
    clock.advance(1);
    await to.saw('end');
  });

  test('a shorter delay and the removal hold for an end that waits', async () => {
    const { clock, from, to, settle, change, toxic } = await setUp('slow_close', { delay: 500 }, stream);
    from.socket.end();
    await settle();
    await change({ attributes: { delay: 100 } });
    clock.advance(99);
    await settle();
    untold(to);
    await toxic.remove();
    await to.saw('end');
  });
});

describe.each(both)('timeout %s', stream => {
  test('what comes is lost, each time the wait begins anew, then both sides see an end', async () => {
    const { clock, from, to, send, settle } = await setUp('timeout', { timeout: 1000 }, stream);
    for (let i = 0; i < 3; i += 1) {
      clock.advance(999);
      await send('lost');
    }
    untold(from, to);
    clock.advance(1000);
    await Promise.all([from.saw('end'), to.saw('end'), settle()]);
    expect([to.text, to.events[0], from.events[0], clock.pending]).toEqual(['', 'end', 'end', 0]);
  });

  test('0 holds for ever; removing it ends the connection; the other direction is free', async () => {
    const { clock, from, to, toxic, send } = await setUp('timeout', { timeout: 0 }, stream);
    await send('lost');
    to.socket.write('free');
    await from.has('free');
    clock.advance(1_000_000_000);
    untold(from, to);
    await toxic.remove();
    await Promise.all([from.saw('end'), to.saw('end')]);
    expect(to.text).toBe('');
  });

  test('toxicity 0 heals it without an end; what was lost stays lost', async () => {
    const { from, to, change, send } = await setUp('timeout', { timeout: 0 }, stream);
    await send('lost');
    await change({ toxicity: 0 });
    await send('kept');
    await to.has('kept');
    untold(from, to);
  });

  test('a reset of all ends it, too', async () => {
    const { from, to, server } = await setUp('timeout', { timeout: 0 }, stream);
    await server.call('POST', '/reset');
    await Promise.all([from.saw('end'), to.saw('end')]);
  });
});

describe.each(both)('reset_peer %s', stream => {
  test('resets both sides of a live connection with the next bytes, not before', async () => {
    const { clock, from, to, settle, kills } = await setUp('reset_peer', { timeout: 0 }, stream);
    clock.advance(1_000_000);
    await settle();
    untold(from, to);
    from.socket.write('lost');
    await Promise.all([from.saw('close'), to.saw('close')]);
    expect([from.events[0], to.events[0], to.text]).toEqual(['ECONNRESET', 'ECONNRESET', '']);
    expect(kills()).toMatchObject([{ toxic: 't', how: 'rst' }]);
  });

  test('waits for its timeout', async () => {
    const { clock, from, to, send, settle } = await setUp('reset_peer', { timeout: 300 }, stream);
    await send('lost');
    clock.advance(299);
    await settle();
    untold(from, to);
    clock.advance(1);
    await Promise.all([from.saw('ECONNRESET'), to.saw('ECONNRESET')]);
  });

  test('removed before any traffic it was never there; with bytes taken it still resets', async () => {
    const one = await setUp('reset_peer', { timeout: 300 }, stream);
    await one.toxic.remove();
    await one.send('kept');
    await one.to.has('kept');
    const two = await setUp('reset_peer', { timeout: 300 }, stream);
    await two.send('lost');
    await two.toxic.remove();
    await Promise.all([two.from.saw('ECONNRESET'), two.to.saw('ECONNRESET')]);
  });
});

describe.each(both)('slicer %s', stream => {
  test('cuts into slices of about the size, each after its delay in microseconds', async () => {
    const attributes = { average_size: 10, size_variation: 4, delay: 2000 };
    const { clock, to, send, settle } = await setUp('slicer', attributes, stream);
    const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(4);
    await send(text);
    const sizes: number[] = [];
    for (let seen = 0; seen < text.length; ) {
      clock.advance(2);
      await settle();
      expect(to.received.length).toBeGreaterThan(seen);
      sizes.push(to.received.length - seen);
      seen = to.received.length;
    }
    expect(to.text).toBe(text);
    // The first two come together: one without a delay, one after the first advance.
    expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(14);
    expect(sizes.length).toBeGreaterThan(6);
  });
});

describe.each(both)('limit_data %s', stream => {
  test('lets so many bytes pass, counted over chunks, then ends both sides', async () => {
    const { from, to, send, kills } = await setUp('limit_data', { bytes: 5 }, stream);
    await send('abc');
    await to.has('abc');
    untold(from, to);
    from.socket.write('defgh');
    await Promise.all([from.saw('end'), to.saw('end')]);
    expect(to.text).toBe('abcde');
    expect(kills()).toMatchObject([{ how: 'fin' }]);
  });

  test('a change keeps the count; 0 ends with the next bytes', async () => {
    const { from, to, send, change, settle } = await setUp('limit_data', { bytes: 5 }, stream);
    await send('abc');
    await change({ attributes: { bytes: 4 } });
    from.socket.write('defgh');
    await Promise.all([from.saw('end'), to.saw('end')]);
    expect(to.text).toBe('abcd');
    const zero = await setUp('limit_data', { bytes: 0 }, stream);
    await settle();
    untold(zero.from, zero.to);
    zero.from.socket.write('x');
    await zero.to.saw('end');
    expect(zero.to.text).toBe('');
  });

  test('what an earlier toxic holds is let go as far as the limit allows', async () => {
    const { from, to, proxy, toxic, settle } = await setUp('limit_data', { bytes: 4 }, stream);
    await toxic.remove();
    await proxy.add({ type: 'latency', stream, attributes: { latency: 60_000 } });
    await proxy.add({ type: 'limit_data', name: 'l', stream, attributes: { bytes: 4 } });
    for (const text of ['abc', 'def', 'ghi']) {
      from.socket.write(text);
      await settle();
    }
    await proxy.proxy.api.delete(`${proxy.proxy.getPath()}/toxics/latency_${stream}`);
    await Promise.all([from.saw('end'), to.saw('end')]);
    expect(to.text).toBe('abcd');
  });
});

describe.each(both)('blackhole %s', stream => {
  test('lets nothing pass, tells nobody, and all goes on when it leaves', async () => {
    const { clock, from, to, toxic, send, settle } = await setUp('blackhole', {}, stream);
    await send('held');
    to.socket.write('free');
    await from.has('free');
    from.socket.end('too');
    await settle();
    clock.advance(1_000_000_000);
    await settle();
    expect([to.text, to.events]).toEqual(['', []]);
    await toxic.remove();
    await to.has('heldtoo');
    await to.saw('end');
  });

  test('a reset of the source goes on when it leaves, too', async () => {
    const { from, to, toxic, settle } = await setUp('blackhole', {}, stream);
    from.socket.resetAndDestroy();
    await settle();
    untold(to);
    await toxic.remove();
    await to.saw('end');
  });

  test('what it holds does not get through when the connection is ended', async () => {
    const { clock, from, to, proxy, send } = await setUp('blackhole', {}, stream);
    await send('held');
    await proxy.add({ type: 'idle_timeout', attributes: { timeout: 10, how: 'fin' } });
    clock.advance(10);
    await Promise.all([from.saw('end'), to.saw('end')]);
    expect(to.text).toBe('');
  });
});
