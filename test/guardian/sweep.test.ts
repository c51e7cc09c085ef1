import { spawn } from 'node:child_process';
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { openGuardian } from '../../src/guardian/guardian.ts';
import { makeRunsFolder, runsFolder } from '../../src/guardian/journal.ts';
import { isAlive, pidSpace, processFact } from '../../src/guardian/processes.ts';
import { sweep } from '../../src/guardian/sweep.ts';
import { eventually, guardianOf, kill, makeTmp, nothingLeft, processesOf, startHarness } from './support.ts';

let tmp: ReturnType<typeof makeTmp>;
beforeEach(() => {
  tmp = makeTmp();
});
afterEach(() => tmp.remove());

const nothing = { runs: 0, processes: 0, folders: 0, others: 0, left: [] };
const cookie = 'c0ffee'.padEnd(32, '0');

/** A journal as a dead harness leaves it. */
function plant(lines: object[]): string {
  const runs = runsFolder(tmp.path);
  makeRunsFolder(runs);
  makeRunsFolder(join(runs, cookie));
  const path = join(runs, `${cookie}.ndjson`);
  writeFileSync(path, lines.map(line => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

const dead = { pid: 2 ** 22 - 1, start: '1' };
const run = (more: object = {}) => ({ k: 'run', cookie, harness: dead, space: pidSpace(), ...more });

describe('sweep', () => {
  test('finds nothing where nothing ever ran', async () => {
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
  });

  test('cleans up after harness and guardian were both killed', { timeout: 30_000 }, async () => {
    const harness = await startHarness(tmp.path, 'world');
    await harness.heard('ready');
    const known = processesOf(harness.cookie);
    const guardian = guardianOf(tmp.path, harness.cookie);
    kill(guardian);
    kill(harness.child);
    await eventually(() => !isAlive(guardian) && harness.child.signalCode !== null, 'both are dead');
    const swept = await sweep({ tmpDir: tmp.path });
    expect(swept).toMatchObject({ runs: 1, left: [] });
    expect(swept.processes).toBeGreaterThanOrEqual(1);
    await nothingLeft(tmp.path, harness.cookie, known, 100);
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
  });

  test('touches no run whose harness lives, nor one whose guardian still cleans up', async () => {
    const guardian = await openGuardian({ clock: realClock, tmpDir: tmp.path });
    const child = guardian.spawn('idler', process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
    });
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
    kill(guardianOf(tmp.path, guardian.cookie));
    await guardian.lost;
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
    expect(child.exitCode ?? child.signalCode).toBe(null);
    await guardian.close();
    const self = { pid: process.pid, start: processFact(process.pid)!.start };
    plant([run(), { k: 'guardian', ...self }]);
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
  });

  test('kills no stranger: the pid alone, pid and start, and the cookie in an argument are not enough', async () => {
    const stranger = spawn(
      process.execPath,
      ['-e', 'setInterval(() => {}, 1000)', `POOLSOAK_COOKIE=${cookie}`],
      {
        stdio: 'ignore',
      },
    );
    const { start } = processFact(stranger.pid!)!;
    const spawned = (at: string) => ({ k: 'spawned', what: 'postgres', pid: stranger.pid, start: at });
    plant([run(), spawned('7'), spawned(start)]);
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1, processes: 0, left: [] });
    expect(isAlive({ pid: stranger.pid!, start })).toBe(true);
    stranger.kill('SIGKILL');
  });

  test('knows runs of another boot as dead, and leaves runs of another pid namespace alone', async () => {
    const self = { pid: process.pid, start: processFact(process.pid)!.start };
    plant([run({ space: { ...pidSpace(), namespace: 'pid:[1]' } })]);
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
    plant([run({ harness: self, space: { ...pidSpace(), boot: 'another' } })]);
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1 });
  });

  test('waits a minute with a journal that was never begun, and reads past a cut last line', async () => {
    const path = plant([]);
    expect(await sweep({ tmpDir: tmp.path })).toEqual(nothing);
    utimesSync(path, 1, 1);
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1 });
    writeFileSync(plant([run()]), '{"k":"spaw', { flag: 'a' });
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1 });
    expect(readdirSync(runsFolder(tmp.path))).toEqual([]);
  });

  test('removes nothing near the root, whatever a journal says, and keeps that journal', async () => {
    plant([
      run(),
      { k: 'folder', path: '/poolsoak-no-such-folder' },
      { k: 'folder', path: '/tmp/../etc/x/y' },
    ]);
    const swept = await sweep({ tmpDir: tmp.path });
    expect(swept.left).toHaveLength(2);
    expect(readdirSync(runsFolder(tmp.path))).toEqual([`${cookie}.ndjson`]);
  });

  test('believes no journal that names what no run of ours makes', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end('{"other": {}, "poolsoak-abc-else": {}}');
    });
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    plant([
      run(),
      { k: 'toxiproxy', url, prefix: '' },
      { k: 'toxiproxy', url, prefix: 'poolsoak-' },
      { k: 'toxiproxy', url: 'http://10.0.0.1:8474', prefix: 'poolsoak-abcdef012345-abcdef01-' },
      { k: 'nft', table: 'filter' },
      { k: 'nft', table: 'poolsoak_x; flush ruleset' },
    ]);
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1, others: 0, left: [] });
    expect(asked).toEqual([]);
    server.close();
  });

  test('keeps the journal while a Toxiproxy that has our proxies does not do as it is told', async () => {
    let broken = true;
    const removed: string[] = [];
    const server = createServer((request, response) => {
      if (request.method === 'DELETE') removed.push(request.url!);
      response.statusCode = broken ? 500 : request.method === 'DELETE' ? 204 : 200;
      const mine = removed.length === 0 ? '"poolsoak-abcdef012345-abcdef01-1": {}, ' : '';
      response.end(broken || request.method === 'DELETE' ? '' : `{${mine}"other": {}}`);
    });
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = plant([run(), { k: 'toxiproxy', url, prefix: 'poolsoak-abcdef012345-abcdef01-' }]);
    const { left } = await sweep({ tmpDir: tmp.path });
    expect(left).toEqual([`proxies poolsoak-abcdef012345-abcdef01-* at ${url} (it answered 500)`]);
    expect(existsSync(path)).toBe(true);
    broken = false;
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1, others: 1, left: [] });
    expect(removed).toEqual(['/proxies/poolsoak-abcdef012345-abcdef01-1']);
    // And when it is gone, so are its proxies.
    server.close();
    server.closeAllConnections();
    plant([run(), { k: 'toxiproxy', url, prefix: 'poolsoak-abcdef012345-abcdef01-' }]);
    expect(await sweep({ tmpDir: tmp.path })).toMatchObject({ runs: 1, others: 0, left: [] });
  });
});
