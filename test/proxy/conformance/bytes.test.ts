import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { realClock } from '../../../src/clock.ts';
import { until } from '../helpers.ts';
import { type Connection, closed, delivered, settled, streams, tookMs } from './stage.ts';
import { onBoth } from './suite.ts';

/** What a timer of either side may be early by. */
const earlyMs = 2;
const long = 60_000;
const other = { upstream: 'downstream', downstream: 'upstream' } as const;

onBoth(play => {
  for (const stream of streams) {
    play(`${stream}: latency delays each chunk, in its stream only`, async stage => {
      const link = await stage.live();
      await stage.add('latency', { latency: 200 }, { stream });
      link.from(stream).socket.write('late');
      const took = tookMs(() => link.to(stream).has('late'));
      link.from(other[stream]).socket.write('other way');
      await link.to(other[stream]).has('other way');
      expect(link.to(stream).text).toBe('');
      expect(await took).toBeGreaterThan(200 - earlyMs);
    });

    play(`${stream}: latency keeps the order, the end last, and is no sum`, async stage => {
      const link = await stage.live();
      await stage.add('latency', { latency: 300 }, { stream });
      const took = await tookMs(async () => {
        for (const part of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
          link.from(stream).socket.write(part);
          await realClock.sleepMs(10);
        }
        link.from(stream).socket.end();
        await link.to(stream).saw('end');
      });
      expect(link.to(stream).text).toBe('abcdefgh');
      expect(took).toBeGreaterThan(370 - earlyMs);
      expect(took).toBeLessThan(8 * 300);
    });

    play(`${stream}: jitter is another each time, at most itself, and keeps the order`, async stage => {
      const links = [];
      for (let n = 0; n < 6; n += 1) links.push(await stage.live());
      await stage.add('latency', { latency: 600, jitter: 500 }, { stream });
      const send = async (link: Connection) => {
        for (const digit of '0123456789') link.from(stream).socket.write(digit);
        await until('a digit', () => link.to(stream).text.length > 0);
      };
      const took = await Promise.all(links.map(link => tookMs(() => send(link))));
      expect(Math.min(...took)).toBeGreaterThan(100 - earlyMs);
      expect(Math.max(...took) - Math.min(...took)).toBeGreaterThan(2);
      for (const link of links) await link.to(stream).has('0123456789');
    });

    play(`${stream}: bandwidth takes its time`, async stage => {
      const link = await stage.live();
      await stage.add('bandwidth', { rate: 100 }, { stream });
      const sent = randomBytes(50_000);
      const took = await tookMs(async () => {
        link.from(stream).socket.write(sent);
        const receiver = link.to(stream);
        await until('all', () => receiver.received.length === sent.length);
      });
      expect(took).toBeGreaterThan(400);
      expect(link.to(stream).received.equals(sent)).toBe(true);
    });

    play(`${stream}: bandwidth 0 lets nothing through until it leaves`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('bandwidth', { rate: 0 }, { stream });
      link.from(stream).socket.write('held');
      await settled(150);
      expect(link.to(stream).text).toBe('');
      await toxic.remove();
      await link.to(stream).has('held');
      expect(link.to(stream).events).toEqual([]);
    });

    play(`${stream}: slicer cuts and waits, and nothing is lost`, async stage => {
      const link = await stage.live();
      await stage.add('slicer', { average_size: 10, size_variation: 2, delay: 20_000 }, { stream });
      const sent = randomBytes(100).toString('hex');
      const took = await tookMs(async () => {
        link.from(stream).socket.end(sent);
        await link.to(stream).saw('end');
      });
      expect(link.to(stream).text).toBe(sent);
      // Of at most 12 bytes.
      expect(took).toBeGreaterThan((sent.length / 12 - 1) * 20);
    });

    play(`${stream}: limit_data ends both sides after so many bytes`, async stage => {
      const link = await stage.live();
      await stage.add('limit_data', { bytes: 100 }, { stream });
      link.from(stream).socket.write('x'.repeat(60));
      await link.to(stream).has('x'.repeat(60));
      link.from(stream).socket.write('y'.repeat(60));
      await link.to(stream).saw('end');
      await closed(link.from(stream));
      expect(link.to(stream).text).toBe(`${'x'.repeat(60)}${'y'.repeat(40)}`);
    });

    play(`${stream}: limit_data 0 ends at the first byte`, async stage => {
      const link = await stage.live();
      await stage.add('limit_data', { bytes: 0 }, { stream });
      await settled();
      expect([link.client.events, link.server.events]).toEqual([[], []]);
      link.from(stream).socket.write('x');
      await closed(link.to(stream), link.from(stream));
      expect(link.to(stream).text).toBe('');
    });

    play(`${stream}: a changed limit_data goes on counting; without it bytes flow`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('limit_data', { bytes: 1000 }, { stream });
      link.from(stream).socket.write('x'.repeat(60));
      await link.to(stream).has('x'.repeat(60));
      await toxic.update({ attributes: { bytes: 70 } });
      link.from(stream).socket.write('y'.repeat(60));
      await link.to(stream).saw('end');
      expect(link.to(stream).text).toBe(`${'x'.repeat(60)}${'y'.repeat(10)}`);
      const next = await stage.live();
      await toxic.remove();
      next.from(stream).socket.write('z'.repeat(100));
      await next.to(stream).has('z'.repeat(100));
    });

    play(`${stream}: a change of latency holds for what comes`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('latency', { latency: 0 }, { stream });
      link.from(stream).socket.write('1');
      await link.to(stream).has('1');
      await toxic.update({ attributes: { latency: 150 } });
      const took = await tookMs(async () => {
        link.from(stream).socket.write('2');
        await link.to(stream).has('12');
      });
      expect(took).toBeGreaterThan(150 - earlyMs);
    });

    play(`${stream}: what is held goes on when the latency gets short, and when it leaves`, async stage => {
      const link = await stage.live();
      const toxic = await stage.add('latency', { latency: long }, { stream });
      link.from(stream).socket.write('1');
      await settled();
      expect(link.to(stream).text).toBe('');
      await toxic.update({ attributes: { latency: 1 } });
      await link.to(stream).has('1');
      await toxic.update({ attributes: { latency: long } });
      for (const part of ['2', '3', '4']) {
        link.from(stream).socket.write(part);
        await settled(10);
      }
      await settled();
      await toxic.remove();
      await link.to(stream).has('1234');
      expect([link.client.events, link.server.events]).toEqual([[], []]);
    });

    play(`${stream}: a longer latency and what is held already`, async (stage, differs) => {
      const link = await stage.live();
      const toxic = await stage.add('latency', { latency: long }, { stream });
      link.from(stream).socket.write('1');
      await delivered();
      await toxic.update({ attributes: { latency: 2 * long } });
      if (differs('held-latency', true, false)) return link.to(stream).has('1');
      await settled(100);
      expect(link.to(stream).text).toBe('');
    });

    play(`${stream}: toxicity 0 hits nobody, 1 everybody`, async stage => {
      const toxic = await stage.add('latency', { latency: long }, { stream, toxicity: 0 });
      const link = await stage.live();
      await toxic.update({ toxicity: 1 });
      link.from(stream).socket.write('held');
      await settled();
      expect(link.to(stream).text).toBe('');
      await toxic.update({ toxicity: 0 });
      await link.to(stream).has('held');
      link.from(stream).socket.write(' and more');
      await link.to(stream).has('held and more');
    });

    play(`${stream}: large transfers arrive whole through everything that passes bytes on`, async stage => {
      await stage.add('noop', {}, { stream });
      await stage.add('latency', { latency: 5, jitter: 5 }, { stream });
      await stage.add('bandwidth', { rate: 1_000_000 }, { stream });
      await stage.add('slicer', { average_size: 20_000, size_variation: 500, delay: 0 }, { stream });
      await stage.add('limit_data', { bytes: 100_000_000 }, { stream });
      await stage.add('slow_close', { delay: 1 }, { stream });
      const link = await stage.connection();
      const sent = randomBytes(8_000_000);
      const hash = createHash('sha256');
      const receiver = link.to(stream).socket.removeAllListeners('data');
      receiver.on('data', chunk => hash.update(chunk));
      link.from(stream).socket.end(sent);
      await link.to(stream).saw('end');
      expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
    });
  }

  play('large transfers both ways at once, toxics coming and going', async stage => {
    const link = await stage.connection();
    const sent = randomBytes(8_000_000);
    const all = Promise.all(
      streams.map(async stream => {
        const hash = createHash('sha256');
        let bytes = 0;
        const receiver = link.to(stream).socket.removeAllListeners('data');
        receiver.on('data', chunk => {
          hash.update(chunk);
          bytes += chunk.length;
        });
        for (let at = 0; at < sent.length; at += 400_000) {
          link.from(stream).socket.write(sent.subarray(at, at + 400_000));
          const toxic = await stage.add('latency', { latency: 5 }, { stream, name: `${stream}${at}` });
          await toxic.update({ attributes: { latency: 1 } });
          await toxic.remove();
        }
        await until('all of it', () => bytes === sent.length);
        return hash.digest('hex');
      }),
    );
    const whole = createHash('sha256').update(sent).digest('hex');
    expect(await all).toEqual([whole, whole]);
  });

  play('both streams of one connection have toxics of their own', async stage => {
    for (const stream of streams) await stage.add('latency', { latency: 120 }, { stream });
    const took = await tookMs(() => stage.live());
    expect(took).toBeGreaterThan(240 - 2 * earlyMs);
  });
});
