import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock, within } from '../../src/clock.ts';
import { hasToxiproxy, proxyCases, type StockToxiproxy, startToxiproxy } from '../fixtures/toxiproxy.ts';
import { appClient, codeOf, eventually, openTestWorld, type TestWorld } from './support.ts';

const idleMs = 150;
const giveUpMs = 300;

/** What an idle kill looks like to clients and to the server: the same through both proxies. */
for (const proxy of proxyCases.filter(({ needs }) => needs.includes('idle-reset')))
  describe.skipIf(proxy.stock && !hasToxiproxy)(`connections idle for too long, behind ${proxy.name}`, () => {
    let stock: StockToxiproxy | null;
    let test: TestWorld;
    const sessions = async () => (await test.world.sideDoor.sessions()).sessions;

    beforeAll(async () => {
      stock = proxy.stock ? await startToxiproxy() : null;
      test = await openTestWorld({
        appSlots: 10,
        needs: proxy.needs,
        ...(stock ? { proxy: stock.choice } : {}),
      });
    });
    afterAll(async () => {
      await test?.close();
      await stock?.close();
    });

    const portOf = (client: pg.Client): number =>
      (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream.localPort;
    const addLimit = (how: string, giveUp = 924_000) =>
      test.world.proxy.addToxic('limit', 'idle_timeout', { timeout: idleMs, how, giveUp });
    const killed = async (client: pg.Client) => {
      const port = portOf(client);
      const found = () => test.heard.kills.find(({ clientPort }) => clientPort === port);
      await eventually(() => found() !== undefined, 'the kill is told');
      return found()!;
    };
    /** Errors and end of a client, as a pool sees them. */
    const fate = (client: pg.Client): Promise<string> =>
      new Promise(resolve => {
        let seen = '';
        client.on('error', error => {
          seen ||= (error as { code?: string }).code ?? error.message;
        });
        client.once('end', () => resolve(seen));
      });

    it.each([
      ['fin', 'Connection terminated unexpectedly'],
      ['rst', 'ECONNRESET'],
    ])('%s: told at once, to both ends', async (how, seen) => {
      const client = await appClient(test.world.endpoint);
      const ended = fate(client);
      await addLimit(how);
      expect(await killed(client)).toMatchObject({ toxic: 'limit', how });
      expect(await ended).toBe(seen);
      await eventually(async () => (await sessions()) === 0, 'the server heard of it');
      await test.world.proxy.removeToxic('limit');
    });

    it('drop: nobody is told, for ever, and the client gives up at its time', async () => {
      const client = await appClient(test.world.endpoint);
      await client.query('SELECT 1');
      await addLimit('drop', giveUpMs);
      const { idleMs: seen, how } = await killed(client);
      expect(how).toBe('drop');
      expect(seen).toBeGreaterThanOrEqual(idleMs);
      await test.world.proxy.removeToxic('limit');
      // Healed, and dropped still: new connections work, this one does not.
      const fresh = await appClient(test.world.endpoint);
      await fresh.query('SELECT 1');
      const startMs = realClock.nowMs();
      expect(await codeOf(client.query('SELECT 1'))).toBe('ECONNRESET');
      expect(realClock.nowMs() - startMs).toBeGreaterThanOrEqual(giveUpMs - 2);
      expect(await sessions()).toBe(2);
      await fresh.end();
      await eventually(async () => (await sessions()) === 1, 'the server still has the dropped one');
      await test.world.sideDoor.endAppSessions();
    });

    it('drop: neither end hears of the other one ending', async () => {
      const client = await appClient(test.world.endpoint);
      await addLimit('drop');
      await killed(client);
      await test.world.sideDoor.endAppSessions();
      expect(await within(realClock, 200, fate(client), 'not told')).toBe('not told');
      client.end().catch(() => {});
      await test.world.proxy.removeToxic('limit');
    });

    it('a connection that is used lives on', async () => {
      await addLimit('fin');
      const [busy, idle] = [await appClient(test.world.endpoint), await appClient(test.world.endpoint)];
      const over = killed(idle);
      const stop = realClock.every(idleMs / 5, () => void busy.query('SELECT 1').catch(() => {}));
      await over;
      stop();
      expect((await busy.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
      await test.world.proxy.removeToxic('limit');
      await busy.end();
    });

    it('a limit that comes later counts what was idle before', async () => {
      const client = await appClient(test.world.endpoint);
      const startMs = realClock.nowMs();
      await realClock.sleepMs(2 * idleMs);
      await addLimit('rst');
      const { idleMs: seen, at } = await killed(client);
      expect(seen).toBeGreaterThanOrEqual(2 * idleMs - 5);
      expect(at - startMs).toBeGreaterThanOrEqual(2 * idleMs - 5);
      await test.world.proxy.removeToxic('limit');
    });
  });
