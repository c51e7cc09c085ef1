import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { resolve } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { realClock, within } from '../../src/clock.ts';
import type { Heal } from '../../src/faults/fault.ts';
import { packetDrop } from '../../src/faults/packet-drop.ts';
import { sweep } from '../../src/guardian/sweep.ts';
import { clientPortsOf, packetLossLack } from '../../src/world/firewall.ts';
import { freePort } from '../../src/world/port.ts';
import type { PacketLoss } from '../../src/world/world.ts';
import { hasToxiproxy, proxyCases, type StockToxiproxy, startToxiproxy } from '../fixtures/toxiproxy.ts';
import { guardianOf, kill, makeTmp, startHarness } from '../guardian/support.ts';
import { appClient, codeOf, eventually, openTestWorld, type TestWorld } from './support.ts';

const lack = packetLossLack();
const { fault } = packetDrop;
const title = (text: string) => (lack ? `${text} (${lack})` : text);

const portOf = (client: pg.Client): number =>
  (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream.localPort;

/** What the kernel says of the connection from this port: bytes sent and not acknowledged, and retransmissions. */
function unacknowledged(port: number): { bytes: number; retransmits: number } {
  const from = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map(each => each.trim().split(/\s+/))
    .find(([, local, , state]) => local === from && state === '01');
  return { bytes: Number.parseInt(line?.[4] ?? '0', 16), retransmits: Number.parseInt(line?.[6] ?? '0', 16) };
}

const tables = (): string[] =>
  spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout.match(/poolsoak_[0-9a-f]+/g) ?? [];
const tablesOf = (cookie: string) =>
  tables().filter(name => name.startsWith(`poolsoak_${cookie.slice(0, 12)}`));

for (const proxy of proxyCases)
  describe.skipIf(lack !== null || (proxy.stock && !hasToxiproxy))(
    title(`packets are lost, behind ${proxy.name}`),
    () => {
      let stock: StockToxiproxy | null;
      let test: TestWorld;
      let heal: Heal | null = null;
      beforeAll(async () => {
        stock = proxy.stock ? await startToxiproxy() : null;
        test = await openTestWorld({
          appSlots: 10,
          needs: [...proxy.needs, 'packet-loss'],
          ...(stock ? { proxy: stock.choice } : {}),
        });
      });
      afterEach(async () => {
        await heal?.();
        heal = null;
        expect(tablesOf(test.guardian.cookie)).toEqual([]);
      });
      afterAll(async () => {
        await test?.close();
        await stock?.close();
      });
      const inject = async (loss: PacketLoss) => {
        heal = await fault.inject(test.world, 'packet-drop-1', loss, new AbortController().signal);
      };
      const healed = async () => {
        await heal!();
        heal = null;
      };

      it('existing: old ones are cut off though nobody says so; new ones work; the bytes come after all', async () => {
        const old = await appClient(test.world.endpoint);
        await inject({ which: 'existing', direction: 'both' });
        const answer = old.query("SELECT 'late' AS said");
        const port = portOf(old);
        await eventually(() => unacknowledged(port).retransmits > 0, 'the kernel retransmits');
        expect(unacknowledged(port).bytes).toBeGreaterThan(0);
        const fresh = await appClient(test.world.endpoint);
        expect((await fresh.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        expect(await within(realClock, 100, answer, 'no answer')).toBe('no answer');
        await healed();
        expect((await answer).rows).toEqual([{ said: 'late' }]);
        expect(unacknowledged(port)).toEqual({ bytes: 0, retransmits: 0 });
        await old.end();
        await fresh.end();
      });

      it('all: nobody gets in, not even the probe; other ports are not touched', async () => {
        const old = await appClient(test.world.endpoint);
        await inject({ which: 'all', direction: 'both' });
        expect(await test.world.probeOutage(200)).toEqual({ works: false, code: 'timeout' });
        expect(await codeOf(appClient(test.world.endpoint, { connectionTimeoutMillis: 100 }))).toMatch(
          /timeout/,
        );
        expect(await test.world.sideDoor.sessions()).toMatchObject({ sessions: 1 });
        await healed();
        await eventually(
          async () => (await test.world.probeOutage(1000)).works,
          'the probe gets through again',
        );
        expect((await old.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        await old.end();
      });

      it('one way: up, the server never hears; down, it does and its answer is lost', async () => {
        const sum = async () => {
          const client = await appClient(test.world.endpoint);
          const active = async () => (await test.world.sideDoor.sessions()).active;
          const asked = (direction: 'up' | 'down') =>
            inject({ which: 'existing', direction }).then(() => client.query('SELECT pg_sleep(0.5)'));
          return { client, active, asked };
        };
        const { client, active, asked } = await sum();
        const down = asked('down');
        await eventually(async () => (await active()) === 1, 'the server is at work');
        await eventually(async () => (await active()) === 0, 'the server has answered');
        expect(await within(realClock, 50, down, 'no answer')).toBe('no answer');
        await healed();
        await down;
        const up = asked('up');
        await eventually(() => unacknowledged(portOf(client)).retransmits > 0, 'the kernel retransmits');
        expect(await active()).toBe(0);
        await healed();
        await up;
        await client.end();
      });

      it('two at once, and the first one heals: the second one lasts', async () => {
        const first = await fault.inject(
          test.world,
          'packet-drop-1',
          { which: 'existing', direction: 'both' },
          new AbortController().signal,
        );
        await inject({ which: 'all', direction: 'both' });
        await first();
        expect(await test.world.probeOutage(200)).toEqual({ works: false, code: 'timeout' });
        await healed();
        await eventually(async () => (await test.world.probeOutage(1000)).works, 'both are gone');
      });

      it('lasts longer than the kernel drops on its own', async () => {
        await inject({ which: 'all', direction: 'both' });
        await realClock.sleepMs(6_500);
        expect(await test.world.probeOutage(200)).toEqual({ works: false, code: 'timeout' });
      });
    },
  );

const fixture = resolve(import.meta.dirname, 'fixtures/drop.mjs');

describe.skipIf(lack !== null)(title('a harness that dies while packets are lost'), () => {
  const sockets: Socket[] = [];
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  it('leaves no table: the guardian deletes it', async () => {
    const tmp = makeTmp();
    const harness = await startHarness(tmp.path, 'packets');
    await harness.heard('ready');
    expect(tablesOf(harness.cookie)).toHaveLength(1);
    kill(harness.child);
    await eventually(() => tablesOf(harness.cookie).length === 0, 'the table is deleted', 10_000);
    tmp.remove();
  });

  it('and its guardian too: the kernel stops by itself, and the sweep deletes what is dead only', async () => {
    const tmp = makeTmp();
    const dead = await startHarness(tmp.path, 'packets');
    const alive = await startHarness(tmp.path, 'packets');
    await Promise.all([dead.heard('ready'), alive.heard('ready')]);
    kill(guardianOf(tmp.path, dead.cookie));
    kill(dead.child);
    const [table] = tablesOf(dead.cookie);
    const elements = () => spawnSync('nft', ['list', 'table', 'ip', table!], { encoding: 'utf8' }).stdout;
    expect(elements()).toContain('elements');
    await eventually(() => !elements().includes('elements'), 'the elements time out', 7_000);
    expect(elements()).toContain('chain');
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1, left: [] });
    expect(tablesOf(dead.cookie)).toEqual([]);
    expect(tablesOf(alive.cookie)).toHaveLength(1);
    kill(alive.child);
    await eventually(
      () => tablesOf(alive.cookie).length === 0,
      'the living one is cleaned up by its guardian',
      10_000,
    );
    tmp.remove();
  });

  it('and everything of it: an ordinary connection works again when the kernel has stopped', async () => {
    const server = createServer(socket => socket.pipe(socket));
    const port = await freePort();
    await new Promise<void>(done => server.listen(port, '127.0.0.1', done));
    const child = spawn(process.execPath, [fixture, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const socket = connect({ host: '127.0.0.1', port });
    sockets.push(socket);
    await new Promise<void>(done => socket.once('connect', done));
    const [table] = String(await new Promise(done => child.stdout!.once('data', done)))
      .trim()
      .split(' ');
    let echoed = '';
    socket.on('data', chunk => {
      echoed += chunk;
    });
    socket.write('hello');
    await eventually(() => unacknowledged(socket.localPort!).retransmits > 0, 'the kernel retransmits');
    child.kill('SIGKILL');
    await eventually(() => echoed === 'hello', 'what was sent comes after all', 15_000);
    spawnSync('nft', ['delete', 'table', 'ip', table!]);
    server.close();
  });
});

describe('the connections at a port', () => {
  it('are those that are established, by their clients', () => {
    const line = (local: string, remote: string, state: string) =>
      `   1: ${local} ${remote} ${state} 00000000:00000000`;
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue',
      line('0100007F:3A98', '00000000:0000', '0A'),
      line('0100007F:3A98', '0100007F:9C40', '01'),
      line('0100007F:9C40', '0100007F:3A98', '01'),
      line('0100007F:3A98', '0100007F:9C41', '06'),
      line('0100007F:3A99', '0100007F:9C42', '01'),
    ].join('\n');
    expect(clientPortsOf(15_000, table)).toEqual([40_000]);
  });
});
