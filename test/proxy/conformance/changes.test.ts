import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { until } from '../helpers.ts';
import { closed, settled, streams, tookMs } from './stage.ts';
import { onBoth } from './suite.ts';

const earlyMs = 2;
const long = 60_000;

/** Toxics changed and removed under connections that are in the middle of something. */
onBoth(play => {
  for (const stream of streams) {
    play(`${stream}: bandwidth removed: the rest arrives at once`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('bandwidth', { rate: 1 }, { stream });
      const sent = randomBytes(30_000);
      link.from(stream).socket.write(sent);
      await until('the first bytes', () => link.to(stream).received.length > 0);
      expect(link.to(stream).received.length).toBeLessThan(sent.length);
      await toxic.remove();
      await until('all', () => link.to(stream).received.length === sent.length);
      expect(link.to(stream).received.equals(sent)).toBe(true);
    });

    play(`${stream}: bandwidth made wider and narrower`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('bandwidth', { rate: 1 }, { stream });
      const sent = randomBytes(30_000);
      link.from(stream).socket.write(sent);
      await settled();
      await toxic.update({ attributes: { rate: 1_000_000 } });
      await until('all', () => link.to(stream).received.length === sent.length);
      await toxic.update({ attributes: { rate: 100 } });
      const took = await tookMs(async () => {
        link.from(stream).socket.write(sent);
        await until('all again', () => link.to(stream).received.length === 2 * sent.length);
      });
      expect(took).toBeGreaterThan(200);
      expect(link.to(stream).received.equals(Buffer.concat([sent, sent]))).toBe(true);
    });

    play(`${stream}: slicer removed in the middle of a chunk`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add(
        'slicer',
        { average_size: 10, size_variation: 0, delay: 500_000 },
        { stream },
      );
      const sent = randomBytes(500).toString('hex');
      link.from(stream).socket.write(sent);
      await until('the first slice', () => link.to(stream).received.length > 0);
      expect(link.to(stream).received.length).toBeLessThan(sent.length);
      await toxic.remove();
      link.from(stream).socket.end('!');
      await link.to(stream).saw('end');
      expect(link.to(stream).text).toBe(`${sent}!`);
    });

    play(`${stream}: slow_close made shorter while an end waits`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('slow_close', { delay: long }, { stream });
      link.from(stream).socket.end();
      await settled();
      expect(link.to(stream).events).toEqual([]);
      await toxic.update({ attributes: { delay: 1 } });
      await link.to(stream).saw('end');
    });

    play(`${stream}: timeout made longer, shorter, endless`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('timeout', { timeout: 150 }, { stream });
      await toxic.update({ attributes: { timeout: 0 } });
      await settled(250);
      expect([link.client.events, link.server.events]).toEqual([[], []]);
      const took = await tookMs(async () => {
        await toxic.update({ attributes: { timeout: 100 } });
        await closed(link.client, link.server);
      });
      expect(took).toBeGreaterThan(100 - earlyMs);
    });

    play(`${stream}: reset_peer changed before a byte came`, async stage => {
      const toxic = await stage.add('reset_peer', { timeout: long }, { stream });
      const link = await stage.connection();
      await toxic.update({ attributes: { timeout: 0 } });
      await settled();
      expect([link.client.events, link.server.events]).toEqual([[], []]);
      link.from(stream).socket.write('x');
      await closed(link.client, link.server);
      expect([link.client.events[0], link.server.events[0]]).toEqual(['ECONNRESET', 'ECONNRESET']);
    });

    play(`${stream}: several toxics add up, and leave in any order`, async stage => {
      const link = await stage.live();
      const first = await stage.add('latency', { latency: 100 }, { stream, name: 'first' });
      const second = await stage.add('latency', { latency: 100 }, { stream, name: 'second' });
      const third = await stage.add('bandwidth', { rate: 100 }, { stream });
      const sent = randomBytes(10_000);
      const send = async (times: number) => {
        link.from(stream).socket.write(sent);
        await until('all', () => link.to(stream).received.length === times * sent.length);
      };
      // Toxiproxy starts the second one early by what the first was late.
      expect(await tookMs(() => send(1))).toBeGreaterThan(250);
      await second.remove();
      expect(await tookMs(() => send(2))).toBeGreaterThan(150);
      await third.remove();
      expect(await tookMs(() => send(3))).toBeGreaterThan(100 - earlyMs);
      await first.remove();
      await send(4);
      expect([link.client.events, link.server.events]).toEqual([[], []]);
    });

    play(`${stream}: latency behind bandwidth`, async (stage, differs) => {
      const link = await stage.live();
      await stage.add('bandwidth', { rate: 10 }, { stream });
      await stage.add('latency', { latency: 1000 }, { stream });
      const took = await tookMs(async () => {
        link.from(stream).socket.write('x'.repeat(10_000));
        await until('all', () => link.to(stream).received.length === 10_000);
      });
      expect(took).toBeGreaterThan(1000 - earlyMs);
      expect(took > 2000 - 2 * earlyMs).toBe(differs('latency-adds', false, true));
    });

    play(`${stream}: a toxic on a dead connection is no error`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('latency', { latency: 1 }, { stream });
      link.client.socket.destroy();
      await closed(link.server);
      await stage.add('noop', {}, { stream });
      await toxic.update({ attributes: { latency: 2 } });
      await toxic.remove();
      await stage.live();
    });
  }

  play('a proxy changed to what it is leaves connections alone', async stage => {
    const link = await stage.live();
    await stage.change({});
    await stage.change({ enabled: true });
    await stage.change({ listen: `127.0.0.1:${stage.port}` });
    link.client.socket.write('still');
    await link.server.has('still');
  });

  play('toxics put on a disabled proxy hold when it is enabled', async stage => {
    await stage.change({ enabled: false });
    await stage.add('latency', { latency: 100 });
    await stage.change({ enabled: true });
    expect(await tookMs(() => stage.live())).toBeGreaterThan(100 - earlyMs);
  });
});
