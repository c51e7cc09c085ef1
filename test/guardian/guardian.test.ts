import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { openGuardian } from '../../src/guardian/guardian.ts';
import { runsFolder } from '../../src/guardian/journal.ts';
import { isAlive } from '../../src/guardian/processes.ts';
import { sweep } from '../../src/guardian/sweep.ts';
import {
  eventually,
  fixture,
  guardianOf,
  journalText,
  kill,
  makeTmp,
  nothingLeft,
  processesOf,
  startHarness,
} from './support.ts';

const idle = ['-e', 'setInterval(() => {}, 1000)'];
const fds = { stdio: 'ignore' } as const;
let tmp: ReturnType<typeof makeTmp>;
beforeEach(() => {
  tmp = makeTmp();
});
afterEach(() => tmp.remove());

const open = () => openGuardian({ clock: realClock, tmpDir: tmp.path });

describe('a guardian', () => {
  test('ends processes and removes folders and journal at close', async () => {
    const guardian = await open();
    const child = guardian.spawn('idler', process.execPath, idle, fds);
    const elsewhere = join(tmp.path, 'elsewhere');
    guardian.addFolder(elsewhere);
    mkdirSync(elsewhere);
    writeFileSync(join(guardian.folder, 'file'), 'x');
    const known = processesOf(guardian.cookie);
    expect(known.map(each => each.pid)).toContain(child.pid);
    await guardian.close();
    await nothingLeft(tmp.path, guardian.cookie, known, 100);
    expect(existsSync(elsewhere)).toBe(false);
    await guardian.close();
  });

  test('ends a process that ignores every signal it can, and one that is paused', async () => {
    const guardian = await open();
    const deaf = "for (const s of ['SIGINT','SIGTERM','SIGQUIT','SIGHUP']) process.on(s, () => {});";
    const child = guardian.spawn('deaf', process.execPath, ['-e', `${deaf} ${idle[1]}`], fds);
    guardian.spawn('paused', process.execPath, idle, fds).kill('SIGSTOP');
    expect(child.pid).toBeGreaterThan(0);
    const known = processesOf(guardian.cookie);
    await guardian.close();
    await nothingLeft(tmp.path, guardian.cookie, known, 100);
  });

  test('starts processes in a session of their own, with the cookie', async () => {
    const guardian = await open();
    const script = "process.stdout.write(process.env.POOLSOAK_COOKIE + ' ' + process.env.OTHER)";
    const child = guardian.spawn('teller', process.execPath, ['-e', script], {
      stdio: 'pipe',
      env: { OTHER: 'x' },
    });
    const said: string[] = [];
    child.stdout!.on('data', chunk => said.push(String(chunk)));
    await eventually(() => said.length > 0, 'it speaks');
    expect(said.join('')).toBe(`${guardian.cookie} x`);
    await guardian.close();
  });

  test('journals before it spawns, and the pid after', async () => {
    const guardian = await open();
    const kinds = (): string[] =>
      journalText(tmp.path, guardian.cookie)
        .trim()
        .split('\n')
        .map(line => JSON.parse(line).k);
    const broken = guardian.spawn('missing', join(tmp.path, 'no-such-program'), [], fds);
    const failed = new Promise(resolve => broken.on('error', resolve));
    expect(kinds()).toEqual(['run', 'guardian', 'spawning']);
    guardian.spawn('idler', process.execPath, idle, fds);
    expect(kinds()).toEqual(['run', 'guardian', 'spawning', 'spawning', 'spawned']);
    expect(String(await failed)).toContain('ENOENT');
    await guardian.close();
    expect(() => guardian.spawn('late', process.execPath, idle, fds)).toThrow(
      'late cannot be started: the run is ending',
    );
  });

  test('that is killed is told as lost, and the run can still be closed', async () => {
    const guardian = await open();
    guardian.spawn('idler', process.execPath, idle, fds);
    const known = processesOf(guardian.cookie);
    kill(guardianOf(tmp.path, guardian.cookie));
    expect(await guardian.lost).toBe('the guardian process ended (SIGKILL)');
    await guardian.close();
    await nothingLeft(tmp.path, guardian.cookie, known, 100);
  });

  test('that hangs is replaced at close', { timeout: 20_000 }, async () => {
    const guardian = await open();
    guardian.spawn('idler', process.execPath, idle, fds);
    const known = processesOf(guardian.cookie);
    kill(guardianOf(tmp.path, guardian.cookie), 'SIGSTOP');
    await guardian.close();
    await nothingLeft(tmp.path, guardian.cookie, known, 100);
  });

  test('ignores the signals of an impatient user', async () => {
    const guardian = await open();
    const own = guardianOf(tmp.path, guardian.cookie);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) kill(own, signal);
    await realClock.sleepMs(50);
    expect(isAlive(own)).toBe(true);
    await guardian.close();
  });

  test('refuses a runs folder that others can write', async () => {
    mkdirSync(runsFolder(tmp.path));
    chmodSync(runsFolder(tmp.path), 0o777);
    await expect(open()).rejects.toThrow(/can be written by others \(mode 777\): remove it, or set TMPDIR/);
  });

  test('makes folders that others can pass through but not list, whatever the umask', async () => {
    const umask = process.umask(0o077);
    const guardian = await open().finally(() => process.umask(umask));
    for (const path of [runsFolder(tmp.path), guardian.folder])
      expect(statSync(path).mode & 0o777).toBe(0o711);
    await guardian.close();
  });
});

describe('a harness that is killed', () => {
  const moments = ['nothing', 'sleepers', 'world', 'paused-world'];
  test.each(moments)(
    'with %s leaves no process and no folder within 5 s',
    { timeout: 30_000 },
    async what => {
      const harness = await startHarness(tmp.path, what);
      if (what !== 'nothing') await harness.heard('ready');
      const known = processesOf(harness.cookie);
      kill(harness.child);
      await nothingLeft(tmp.path, harness.cookie, known);
    },
  );

  test.each([100, 300, 500, 600, 700])(
    '%d ms into opening a world leaves nothing',
    { timeout: 30_000 },
    async ms => {
      const harness = await startHarness(tmp.path, 'world');
      await realClock.sleepMs(ms);
      const known = processesOf(harness.cookie);
      kill(harness.child);
      await nothingLeft(tmp.path, harness.cookie, known);
    },
  );

  test.each([40, 60, 80, 100, 120])('%d ms after its start leaves nothing that is not swept', async ms => {
    const child = spawn(process.execPath, [fixture, tmp.path, 'sleepers'], fds);
    await realClock.sleepMs(ms);
    kill(child);
    const runs = runsFolder(tmp.path);
    const left = () => (existsSync(runs) ? readdirSync(runs) : []);
    await eventually(async () => {
      // Killed before its journal's first line, a run is swept after a minute only: let that be over.
      for (const name of left())
        try {
          utimesSync(join(runs, name), 0, 0);
        } catch {
          // Its guardian was faster.
        }
      const { left: stuck } = await sweep({ tmpDir: tmp.path });
      return stuck.length === 0 && left().length === 0;
    }, 'nothing left');
  });

  test('before the first line of its journal is swept too, a minute later', async () => {
    const runs = runsFolder(tmp.path);
    mkdirSync(runs, { recursive: true, mode: 0o711 });
    const empty = join(runs, `${'0'.repeat(32)}.ndjson`);
    writeFileSync(empty, '');
    await sweep({ tmpDir: tmp.path });
    expect(existsSync(empty)).toBe(true);
    utimesSync(empty, 0, 0);
    await sweep({ tmpDir: tmp.path });
    expect(existsSync(empty)).toBe(false);
  });

  test('is told when its guardian is killed', async () => {
    const harness = await startHarness(tmp.path, 'nothing');
    const known = processesOf(harness.cookie);
    kill(guardianOf(tmp.path, harness.cookie));
    expect(await harness.heard('lost')).toMatchObject({ part: 'guardian' });
    kill(harness.child);
    expect(known.length).toBeGreaterThan(0);
  });

  test('does not take along a stranger whose pid stands in its journal', async () => {
    const harness = await startHarness(tmp.path, 'sleepers');
    const stranger = spawn(process.execPath, idle, fds);
    const entry = { k: 'spawned', what: 'postgres', pid: stranger.pid, start: 'of another time' };
    writeFileSync(join(runsFolder(tmp.path), `${harness.cookie}.ndjson`), `${JSON.stringify(entry)}\n`, {
      flag: 'a',
    });
    const known = processesOf(harness.cookie);
    kill(harness.child);
    await nothingLeft(tmp.path, harness.cookie, known);
    expect(stranger.exitCode ?? stranger.signalCode).toBe(null);
    stranger.kill('SIGKILL');
  });
});
