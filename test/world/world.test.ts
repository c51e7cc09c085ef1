import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import type { StopHow, StoredRow } from '../../src/world/world.ts';
import { hasToxiproxy, proxyCases, type StockToxiproxy, startToxiproxy } from '../fixtures/toxiproxy.ts';
import { appClient, codeOf, eventually, openTestWorld, type TestWorld, trial } from './support.ts';

const appSlots = 4;

for (const proxy of proxyCases)
  describe.skipIf(proxy.stock && !hasToxiproxy)(`a world behind ${proxy.name}`, () => {
    let it: TestWorld;
    let stock: StockToxiproxy | null;
    let tables: { writes: string; keys: string };

    beforeAll(async () => {
      stock = proxy.stock ? await startToxiproxy() : null;
      it = await openTestWorld({ appSlots, needs: proxy.needs, ...(stock ? { proxy: stock.choice } : {}) });
      tables = await it.world.sideDoor.createTables(trial);
    }, 30_000);
    afterAll(async () => {
      await it?.close();
      const left = await stock?.names();
      await stock?.close();
      expect(left).toEqual(stock ? [stock.stranger] : undefined);
    });

    const connectApp = () => appClient(it.world.endpoint);
    const sha = 'a'.repeat(64);
    const insert = (values: string) =>
      `INSERT INTO ${tables.writes} (trial, session, seq, attempt, "row", "of", payload_sha, valid) ${values}`;

    describe('the application', () => {
      test('connects through the proxy with a password, as nobody special', async () => {
        const client = await connectApp();
        const { rows } = await client.query(
          "SELECT current_setting('is_superuser') AS super, current_user AS name",
        );
        expect(rows).toEqual([{ super: 'off', name: 'poolsoak_app' }]);
        await client.end();
        expect(await codeOf(appClient({ ...it.world.endpoint, password: 'wrong' }))).toBe('28P01');
        expect(it.world.serverVersion).toMatch(/^18\./);
        expect(it.world.secrets).toContain(it.world.endpoint.password);
      });

      test('may write its tables and nothing else', async () => {
        const client = await connectApp();
        await client.query(`INSERT INTO ${tables.keys} VALUES ('t', 1, 1) ON CONFLICT DO NOTHING`);
        const again = await client.query(
          `INSERT INTO ${tables.keys} VALUES ('t', 1, 1) ON CONFLICT DO NOTHING`,
        );
        expect(again.rowCount).toBe(0);
        const forbidden = [
          `SELECT * FROM ${tables.writes}`,
          `DELETE FROM ${tables.keys}`,
          'CREATE TABLE mine (a int)',
          'CREATE TEMP TABLE mine (a int)',
          'ALTER SYSTEM SET fsync = off',
        ];
        for (const sql of forbidden) expect([sql, await codeOf(client.query(sql))]).toEqual([sql, '42501']);
        await client.end();
      });

      test('gets exactly its slots, then 53300, which the log tells', async () => {
        await eventually(async () => (await it.world.sideDoor.sessions()).sessions === 0, 'no app session');
        const clients = [];
        for (let i = 0; i < appSlots; i++) clients.push(await connectApp());
        const before = it.heard.log.length;
        expect(await codeOf(connectApp())).toBe('53300');
        const refusal = () => it.heard.log.slice(before).find(line => line.sqlState === '53300');
        await eventually(() => refusal() !== undefined, 'the refusal is in the log');
        expect(refusal()).toMatchObject({ severity: 'FATAL', user: 'poolsoak_app' });
        expect(refusal()!.backend).toBeGreaterThan(0);
        expect(await it.world.sideDoor.sessions()).toEqual({
          sessions: 4,
          active: 0,
          idle: 4,
          idleInTransaction: 0,
        });
        expect(await it.world.probeOutage(2_000)).toMatchObject({ works: true });
        for (const client of clients) await client.end();
      });
    });

    describe('the side door', () => {
      test('reads every row once, in order, more than a batch of them', async () => {
        const client = await connectApp();
        await client.query(
          insert(`SELECT 't', g % 7, g, 1, 1, 2, '${sha}', true FROM generate_series(1, 12000) g`),
        );
        await client.query(
          insert(`SELECT 't', g % 7, g, 1, 0, 2, '${sha}', true FROM generate_series(1, 12000) g`),
        );
        await client.end();
        const rows: StoredRow[] = [];
        expect(await it.world.sideDoor.readRows(trial, row => rows.push(row))).toBe(24_000);
        expect(rows).toHaveLength(24_000);
        const order = (row: StoredRow) =>
          [row.session, row.seq, row.row].map(n => String(n).padStart(6, '0')).join();
        expect(rows.map(order)).toEqual(rows.map(order).sort());
        const { xid, ...first } = rows[0]!;
        expect(first).toEqual({
          trial: 't',
          session: 0,
          seq: 7,
          attempt: 1,
          row: 0,
          of: 2,
          sha,
          valid: true,
        });
        expect(xid).toMatch(/^\d+$/);
        expect(xid).not.toBe(rows[1]!.xid);
        expect(await it.world.sideDoor.countRows(trial)).toBe(24_000);
      });

      test('survives a reader that throws', async () => {
        const reading = it.world.sideDoor.readRows(trial, () => {
          throw new Error('no more');
        });
        await expect(reading).rejects.toThrow('no more');
        expect(await it.world.sideDoor.preparedTransactions()).toBe(0);
      });

      test('ends sessions of the app, open transactions too, and none of its own', async () => {
        const [open, aborted] = [await connectApp(), await connectApp()];
        await open.query('BEGIN');
        await open.query(insert(`VALUES ('t', 99, 99, 1, 0, 1, '${sha}', true)`));
        await aborted.query('BEGIN');
        expect(await codeOf(aborted.query(insert(`VALUES ('t', 1, 1, 1, 0, 1, '${sha}', false)`)))).toBe(
          '23514',
        );
        const inTransaction = async () => (await it.world.sideDoor.sessions()).idleInTransaction;
        // The error comes before the session is idle again.
        await eventually(async () => (await inTransaction()) === 2, 'both are idle in their transactions');
        expect(await it.world.sideDoor.endAppSessions()).toBe(2);
        expect(await it.world.sideDoor.sessions()).toMatchObject({ sessions: 0 });
        expect(await it.world.sideDoor.endAppSessions()).toBe(0);
        const late: StoredRow[] = [];
        await it.world.sideDoor.readRows(trial, row => row.session === 99 && late.push(row));
        expect(late).toEqual([]);
        expect(it.heard.log.filter(line => line.sqlState === '23514')).toEqual([]);
        expect(it.heard.log.filter(line => line.user === 'postgres')).toEqual([]);
        expect(it.heard.log.filter(line => line.sqlState === '57P01')).toHaveLength(2);
      });

      test('takes no trial id that is more than a name', async () => {
        await expect(it.world.sideDoor.countRows('x"; DROP TABLE y; --')).rejects.toThrow('not a trial id');
      });
    });

    describe('the server', () => {
      const hows: StopHow[] = ['fast', 'immediate', 'kill'];
      test.each(hows)(
        'stops (%s), refuses through the proxy, and comes back',
        { timeout: 20_000 },
        async how => {
          const { world, heard } = it;
          const client = await connectApp();
          const words: (string | undefined)[] = [];
          client.on('error', error => words.push((error as { code?: string }).code));
          const ended = new Promise(resolve => client.once('end', resolve));
          await world.server.stop(how);
          await ended;
          // Its last words come first, through every proxy.
          if (how === 'fast') expect(words[0]).toBe('57P01');
          await eventually(
            async () => (await codeOf(connectApp())) === 'ECONNREFUSED',
            'connections are refused',
          );
          expect(await world.probeOutage(1_000)).toEqual({ works: false, code: 'ECONNREFUSED' });
          expect(await codeOf(world.sideDoor.sessions())).toBe('ECONNREFUSED');
          await world.server.stop(how);
          await world.server.start();
          expect(await world.sideDoor.sessions()).toMatchObject({ sessions: 0 });
          await eventually(
            async () => (await world.probeOutage(1_000)).works,
            'the proxy lets through again',
          );
          await eventually(async () => (await world.probeMachine(1_000)).works, 'the machine probe is back');
          await (await connectApp()).end();
          await expect(world.server.start()).rejects.toThrow('running already');
          expect(await world.sideDoor.countRows(trial)).toBe(24_000);
          expect(heard.lost).toEqual([]);
        },
      );

      test('sleeps and wakes with SIGSTOP and SIGCONT, and can be stopped asleep', {
        timeout: 20_000,
      }, async () => {
        const { world } = it;
        world.server.signal('SIGSTOP');
        expect(await world.probeOutage(200)).toEqual({ works: false, code: 'timeout' });
        world.server.signal('SIGCONT');
        await eventually(async () => (await world.probeOutage(1_000)).works, 'it answers again');
        world.server.signal('SIGSTOP');
        await world.server.stop('fast');
        await world.server.start();
        await eventually(async () => (await world.probeOutage(1_000)).works, 'it answers after the restart');
      });

      test('may be killed by signal and started again', { timeout: 20_000 }, async () => {
        const { world, heard } = it;
        world.server.signal('SIGKILL');
        await eventually(async () => !(await world.probeOutage(500)).works, 'it is gone');
        await world.server.start();
        expect(await world.sideDoor.countRows(trial)).toBe(24_000);
        await eventually(async () => (await world.probeOutage(1_000)).works, 'it is back');
        expect(heard.lost).toEqual([]);
      });
    });

    describe('the proxy', () => {
      const bothWaysMs = 120;
      test('delays while a latency toxic is on it', async () => {
        const { world } = it;
        const time = async (): Promise<number> => {
          const startMs = realClock.nowMs();
          expect(await world.probeMachine(2_000)).toEqual({ works: true, code: null });
          return realClock.nowMs() - startMs;
        };
        await time();
        await world.proxy.addToxic('slow', 'latency', { latency: bothWaysMs / 2, jitter: 0 }, 'upstream');
        await world.proxy.addToxic('slow-back', 'latency', { latency: bothWaysMs / 2, jitter: 0 });
        expect(await time()).toBeGreaterThanOrEqual(bothWaysMs - 2);
        await world.proxy.removeToxic('slow');
        await world.proxy.removeToxic('slow-back');
        await expect(world.proxy.removeToxic('slow')).rejects.toThrow(
          'the fault proxy could not remove toxic slow: ',
        );
      });

      if (proxy.needs.includes('idle-reset'))
        test('tells of connections it killed for being idle', async () => {
          const { world, heard } = it;
          const client = await connectApp();
          const localPort = (client as unknown as { connection: { stream: { localPort: number } } })
            .connection.stream.localPort;
          const idleMs = 100;
          await world.proxy.addToxic('firewall', 'idle_timeout', {
            timeout: idleMs,
            how: 'rst',
            giveUp: 924_000,
          });
          await eventually(() => heard.kills.some(kill => kill.clientPort === localPort), 'the kill is told');
          const kill = heard.kills.find(each => each.clientPort === localPort)!;
          expect(kill).toMatchObject({ toxic: 'firewall', how: 'rst' });
          expect(kill.idleMs).toBeGreaterThanOrEqual(idleMs);
          expect(Math.abs(kill.at - realClock.nowMs())).toBeLessThan(10_000);
          await world.proxy.removeToxic('firewall');
        });

      test('cuts every link for good; the side door stays', async () => {
        const { world } = it;
        const client = await connectApp();
        const ended = new Promise(resolve => client.once('end', resolve));
        await world.proxy.cut();
        await ended;
        expect(await codeOf(connectApp())).toBe('ECONNREFUSED');
        await world.proxy.cut();
        expect(await world.sideDoor.countRows(trial)).toBe(24_000);
      });
    });
  });
