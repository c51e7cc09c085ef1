import { describe, expect, test } from 'vitest';
import { realClock, waitUntil } from '../../src/clock.ts';
import { dial, linked, proxyServer, tryDial, type Upstream, upstream } from './helpers.ts';

async function setUp() {
  const server = await proxyServer();
  const up = await upstream();
  const proxy = await server.proxy(up.port, { mirror: true });
  return { server, up, ...proxy };
}

/** Dials until the answer comes; any but the two named would be an error. */
async function answers(port: number, wanted: string): Promise<string[]> {
  const seen: string[] = [];
  const met = async () => {
    seen.push(await tryDial(port));
    return seen.at(-1) === wanted;
  };
  expect(await waitUntil(realClock, met, { everyMs: 2, limitMs: 8000 }), `last: ${seen.at(-1)}`).toBe('met');
  return seen;
}

/** Works again: a link is made and both ends speak. A first dial may still be refused or reset. */
async function worksAgain(port: number, up: Upstream): Promise<void> {
  await answers(port, 'connected');
  await linked(port, up);
}

describe('mirror', () => {
  test('refuses while the upstream refuses, and comes back on the same port', async () => {
    const { port, up } = await setUp();
    await linked(port, up);
    up.close();
    await answers(port, 'ECONNREFUSED');
    for (let i = 0; i < 5; i += 1) expect(await tryDial(port)).toBe('ECONNREFUSED');
    await worksAgain(port, await upstream(up.port));
  });

  test('who was accepted in between is reset', async () => {
    const { port, up } = await setUp();
    await linked(port, up);
    // Nothing ends: only the listener goes, and the proxy cannot know before the next dial.
    up.shut();
    const client = await dial(port);
    await client.saw('close');
    expect(client.events).toEqual(['ECONNRESET', 'close']);
    await answers(port, 'ECONNREFUSED');
  });

  test('links that live are left to live', async () => {
    const { port, up } = await setUp();
    const { client, server } = await linked(port, up);
    up.shut();
    await answers(port, 'ECONNREFUSED');
    client.socket.write('still here');
    await server.has('still here');
  });

  test('starts refused when the upstream was down already', async () => {
    const up = await upstream();
    up.close();
    const { port } = await (await proxyServer()).proxy(up.port, { mirror: true });
    await answers(port, 'ECONNREFUSED');
    await worksAgain(port, await upstream(up.port));
  });

  test('an upstream that ends connections but still accepts is not an outage', async () => {
    const { port, up } = await setUp();
    for (let i = 0; i < 10; i += 1) {
      const { client, server } = await linked(port, up);
      server.socket.end();
      await client.saw('end');
      client.socket.end();
      expect(await tryDial(port)).toBe('connected');
    }
  });

  test('survives one outage after the other', async () => {
    let { up, port } = await setUp();
    for (let i = 0; i < 3; i += 1) {
      up.close();
      await answers(port, 'ECONNREFUSED');
      up = await upstream(up.port);
      await worksAgain(port, up);
    }
  });

  test('switched off in an outage it accepts and closes, as Toxiproxy does', async () => {
    const { port, up, update } = await setUp();
    up.close();
    await answers(port, 'ECONNREFUSED');
    await update({ mirror: false });
    await answers(port, 'connected');
    const client = await dial(port);
    await client.saw('end');
  });

  test('a proxy that is deleted in an outage stays away', async () => {
    const { port, up, proxy, server } = await setUp();
    up.close();
    await answers(port, 'ECONNREFUSED');
    await proxy.remove();
    const back = await upstream(up.port);
    // Another proxy sees the upstream come back, with the same patience as the deleted one had.
    const other = await server.proxy(back.port, { mirror: true, name: 'other' });
    await worksAgain(other.port, back);
    expect(await tryDial(port)).toBe('ECONNREFUSED');
  });
});
