import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'vitest';
import { realClock } from '../../../src/clock.ts';
import { tryDial } from '../helpers.ts';
import { closed, delivered, hearsEnd, settled, streams, tookMs } from './stage.ts';
import { onBoth } from './suite.ts';

const earlyMs = 2;
const long = 60_000;
const other = { upstream: 'downstream', downstream: 'upstream' } as const;

onBoth(play => {
  for (const stream of streams) {
    play(`${stream}: slow_close delays the end and not the bytes`, async stage => {
      const link = await stage.live();
      await stage.add('slow_close', { delay: 200 }, { stream });
      let bytesMs = Number.POSITIVE_INFINITY;
      const took = await tookMs(async () => {
        const startMs = realClock.nowMs();
        link.from(stream).socket.end('last');
        await link.to(stream).has('last');
        bytesMs = realClock.nowMs() - startMs;
        await link.to(stream).saw('end');
      });
      expect(took).toBeGreaterThan(200 - earlyMs);
      expect(bytesMs).toBeLessThan(took);
    });

    play(`${stream}: slow_close that leaves lets the end go`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('slow_close', { delay: long }, { stream });
      link.from(stream).socket.end();
      await settled();
      expect(link.to(stream).events).toEqual([]);
      await toxic.remove();
      await link.to(stream).saw('end');
    });

    play(
      `${stream}: timeout 0 swallows and keeps open; its leaving closes, also without traffic`,
      async stage => {
        const [quiet, busy] = [await stage.live(), await stage.live()];
        const toxic = await stage.add('timeout', { timeout: 0 }, { stream });
        busy.from(stream).socket.write('lost');
        busy.from(other[stream]).socket.write('other way');
        await busy.to(other[stream]).has('other way');
        await settled();
        for (const { client, server } of [quiet, busy])
          expect([client.events, server.events]).toEqual([[], []]);
        await toxic.remove();
        for (const { client, server } of [quiet, busy]) await closed(client, server);
        expect(busy.to(stream).text).toBe('');
        const next = await stage.live();
        expect(next.client.events).toEqual([]);
      },
    );

    play(`${stream}: an end goes through timeout 0`, async stage => {
      const link = await stage.live();
      await stage.add('timeout', { timeout: 0 }, { stream });
      link.from(stream).socket.end('lost');
      await link.to(stream).saw('end');
      expect(link.to(stream).text).toBe('');
    });

    play(
      `${stream}: timeout 0 with toxicity 0 again: bytes flow, what was swallowed stays lost`,
      async stage => {
        const link = await stage.live();
        const toxic = await stage.add('timeout', { timeout: 0 }, { stream });
        link.from(stream).socket.write('lost');
        await delivered();
        await toxic.update({ toxicity: 0 });
        link.from(stream).socket.write('found');
        await link.to(stream).has('found');
        expect([link.client.events, link.server.events]).toEqual([[], []]);
      },
    );

    play(`${stream}: timeout closes by itself, and swallows until then`, async stage => {
      const link = await stage.live();
      const took = await tookMs(async () => {
        await stage.add('timeout', { timeout: 150 }, { stream });
        link.from(stream).socket.write('lost');
        await closed(link.client, link.server);
      });
      expect(took).toBeGreaterThan(150 - earlyMs);
      expect(link.to(stream).text).toBe('');
    });

    play(`${stream}: every chunk that timeout swallows starts it anew`, async stage => {
      const link = await stage.live();
      await stage.add('timeout', { timeout: 800 }, { stream });
      const took = await tookMs(async () => {
        for (let n = 0; n < 12; n += 1) {
          link.from(stream).socket.write('lost');
          await settled(100);
        }
        expect([link.client.events, link.server.events]).toEqual([[], []]);
        await closed(link.client, link.server);
      });
      expect(took).toBeGreaterThan(1900 - earlyMs);
    });

    play(`${stream}: a toxic added behind timeout`, async (stage, differs) => {
      const link = await stage.live();
      const took = await tookMs(async () => {
        await stage.add('timeout', { timeout: 1000 }, { stream });
        await settled(700);
        await stage.add('noop', {}, { stream });
        await closed(link.client, link.server);
      });
      expect(took).toBeGreaterThan(1000 - earlyMs);
      expect(took > 1700 - earlyMs).toBe(differs('timeout-anew', true, false));
    });

    play(`${stream}: timeout that leaves early closes all the same`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('timeout', { timeout: long }, { stream });
      await settled();
      await toxic.remove();
      await closed(link.client, link.server);
    });

    play(`${stream}: reset_peer before the connection: a reset at the first byte, for both`, async stage => {
      await stage.add('reset_peer', { timeout: 0 }, { stream });
      const link = await stage.connection();
      await settled();
      expect([link.client.events, link.server.events]).toEqual([[], []]);
      link.from(stream).socket.write('x');
      await closed(link.client, link.server);
      expect([link.client.events[0], link.server.events[0]]).toEqual(['ECONNRESET', 'ECONNRESET']);
      expect(link.to(stream).text).toBe('');
    });

    play(`${stream}: reset_peer waits its time, from the first byte`, async stage => {
      await stage.add('reset_peer', { timeout: 150 }, { stream });
      const link = await stage.connection();
      await settled(200);
      const took = await tookMs(async () => {
        link.from(stream).socket.write('x');
        await closed(link.client, link.server);
      });
      expect(took).toBeGreaterThan(150 - earlyMs);
    });

    play(`${stream}: reset_peer on a live connection`, async (stage, differs) => {
      const link = await stage.live();
      await stage.add('reset_peer', { timeout: 0 }, { stream });
      await settled();
      expect([link.client.events, link.server.events]).toEqual([[], []]);
      link.from(stream).socket.write('x');
      await closed(link.client, link.server);
      const end = differs('reset-of-live', 'end', 'ECONNRESET');
      expect([link.to(stream).events[0], link.from(stream).events[0]]).toEqual([end, end]);
    });

    play(
      `${stream}: reset_peer that was there with toxicity 0 gives a reset on live connections`,
      async stage => {
        const toxic = await stage.add('reset_peer', { timeout: 0 }, { stream, toxicity: 0 });
        const link = await stage.live();
        await toxic.update({ toxicity: 1 });
        await settled();
        expect([link.client.events, link.server.events]).toEqual([[], []]);
        link.from(stream).socket.write('x');
        await closed(link.client, link.server);
        expect([link.client.events[0], link.server.events[0]]).toEqual(['ECONNRESET', 'ECONNRESET']);
      },
    );

    play(`${stream}: reset_peer that leaves before a byte does nothing`, async stage => {
      const link = await stage.live();
      await (await stage.add('reset_peer', { timeout: 0 }, { stream })).remove();
      link.from(stream).socket.write('fine');
      await link.to(stream).has('fine');
    });

    play(`${stream}: an end is passed on`, async (stage, differs) => {
      const link = await stage.live();
      link.from(stream).socket.end('question');
      await link.to(stream).saw('end');
      expect(link.to(stream).text).toBe('question');
      const both = differs('half-close', true, false);
      await hearsEnd(link.from(stream), both);
      if (both) return;
      link.to(stream).socket.end('answer');
      await link.from(stream).has('answer');
    });

    play(`${stream}: a reset is passed on as an end`, async stage => {
      const link = await stage.live();
      link.from(stream).socket.resetAndDestroy();
      await closed(link.to(stream));
      expect(link.to(stream).events[0]).toBe('end');
    });

    play(
      `${stream}: limit_data then slow_close holds the end, the other order does not`,
      async (stage, differs) => {
        await stage.add('limit_data', { bytes: 1 }, { stream });
        const slow = await stage.add('slow_close', { delay: long }, { stream });
        const held = await stage.connection();
        held.from(stream).socket.write('xy');
        await held.to(stream).has('x');
        await settled();
        expect(held.to(stream).events.slice(0, 1)).toEqual(differs('ends-at-once', [], ['end']));
        await slow.remove();
        await held.to(stream).saw('end');
        const limit = `/proxies/${stage.name}/toxics/limit_data_${stream}`;
        await stage.call('DELETE', limit);
        await stage.add('slow_close', { delay: long }, { stream });
        await stage.add('limit_data', { bytes: 1 }, { stream });
        const free = await stage.connection();
        free.from(stream).socket.write('xy');
        await free.to(stream).saw('end');
        expect(free.to(stream).text).toBe('x');
      },
    );
  }

  play(
    'disabled: every connection ends, the port refuses; enabled: the same port and toxics again',
    async stage => {
      const links = [await stage.live(), await stage.live(), await stage.live()];
      await stage.add('latency', { latency: 100 });
      await stage.change({ enabled: false });
      for (const { client, server } of links) await closed(client, server);
      expect(links.map(({ client, server }) => [client.events[0], server.events[0]])).toEqual(
        links.map(() => ['end', 'end']),
      );
      expect(await tryDial(stage.port)).toBe('ECONNREFUSED');
      await stage.change({ enabled: true });
      expect(await tookMs(() => stage.live())).toBeGreaterThan(100 - earlyMs);
    },
  );

  play('disabled with what a toxic holds: it is lost', async stage => {
    const link = await stage.live();
    await stage.add('latency', { latency: long });
    link.server.socket.write('held');
    await settled();
    await stage.change({ enabled: false });
    await closed(link.client, link.server);
    expect(link.client.text).toBe('');
  });

  play('removed: every connection ends, the port refuses', async stage => {
    const link = await stage.live();
    await stage.remove();
    await closed(link.client, link.server);
    expect(await tryDial(stage.port)).toBe('ECONNREFUSED');
  });

  play('another upstream: every connection ends, new ones go there', async stage => {
    const before = await stage.live();
    const there = createServer(socket => socket.end('there')).listen(0, '127.0.0.1');
    await once(there, 'listening');
    await stage.change({ upstream: `127.0.0.1:${(there.address() as AddressInfo).port}` });
    await closed(before.client, before.server);
    const client = await stage.dial();
    await client.has('there').finally(() => there.close());
  });

  play('how connections end that have a reset_peer of toxicity 0', async (stage, differs) => {
    await stage.add('reset_peer', { timeout: 0 }, { toxicity: 0 });
    const link = await stage.live();
    await stage.change({ enabled: false });
    await closed(link.client, link.server);
    const end = differs('no-linger', 'ECONNRESET', 'end');
    expect([link.client.events[0], link.server.events[0]]).toEqual([end, end]);
  });

  play('timeout that let go of a connection leaves', async (stage, differs) => {
    const link = await stage.live();
    const toxic = await stage.add('timeout', { timeout: 0 });
    await toxic.update({ toxicity: 0 });
    await toxic.remove();
    await hearsEnd(link.client, differs('healed-timeout', true, false));
  });

  play('an upstream that refuses: accepted, then ended', async stage => {
    stage.shut();
    const client = await stage.dial();
    await closed(client);
    expect(client.events[0]).toBe('end');
  });

  play('an upstream that refuses leaves live connections alone', async stage => {
    const { client, server } = await stage.live();
    stage.shut();
    await closed(await stage.dial());
    client.socket.write('still');
    await server.has('still');
  });
});
