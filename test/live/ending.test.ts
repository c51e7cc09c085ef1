import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { realClock, waitUntil, within } from '../../src/clock.ts';
import { seeded } from '../../src/random.ts';
import { LiveRun } from '../fixtures/live-run.ts';
import { removeTempFolders, tempFolder } from '../fixtures/soak-it.ts';

const cli = resolve(import.meta.dirname, '../../dist/src/cli.js');
/** Random moments of the soak, the restart in its middle among them; more of them in CI. */
const moments = process.env.POOLSOAK_REQUIRE === 'all' ? 5 : 1;
const random = seeded('ending', process.pid);
/** And one while the database is down, when nothing can be probed. */
const duringOutage = 1400;
const atRandom = Array.from({ length: moments }, () => Math.round(random.next() * 3000));

function scenario(): string {
  const path = join(tempFolder(), 'mine.ts');
  writeFileSync(
    path,
    `import { defineScenario, restartDatabase } from 'poolsoak';
     export default defineScenario({
       name: 'mine', duration: '30s', patience: '2s', workers: 2,
       sessions: { count: 10, every: '100ms' }, server: { appSlots: 20 },
       faults: [{ at: '1s', fault: restartDatabase({ down: '1s' }) }],
       candidates: { good: { pool: 'pg-pool', app: { onPoolError: 'listen', onClientError: 'listen' } } },
     });`,
  );
  return path;
}

const kill = (pid: number | undefined) => {
  expect(pid).toBeGreaterThan(1);
  process.kill(pid!, 'SIGKILL');
};

afterAll(removeTempFolders);

describe.runIf(process.platform === 'linux')('a run that is killed leaves nothing behind', () => {
  it.each(atRandom)('harness, after %i ms', async moreMs => {
    const run = new LiveRun(scenario());
    await run.soaking(moreMs);
    run.child.kill('SIGKILL');
    expect(await run.left(5000)).toEqual([]);
  });

  it.each(atRandom)('harness and a worker, after %i ms', async moreMs => {
    const run = new LiveRun(scenario());
    await run.soaking(moreMs);
    kill(run.pid(/^worker-0/));
    run.child.kill('SIGKILL');
    expect(await run.left(5000)).toEqual([]);
  });

  it.each([...atRandom, duringOutage])(
    'guardian, after %i ms: stopped, cleaned up, unknown, exit 70',
    async moreMs => {
      const run = new LiveRun(scenario());
      await run.soaking(moreMs);
      kill(run.pid(/^guardian/));
      const code = await within(realClock, 20_000, run.ended, 'still there');
      expect({ code, left: await run.left(5000) }).toEqual({ code: 70, left: [] });
      expect(run.result()).toMatchObject({
        trials: [{ verdict: 'unknown', unknownBecause: expect.arrayContaining(['guardian-lost']) }],
      });
    },
  );

  it.each([...atRandom, duringOutage])(
    'proxy, after %i ms: stopped, cleaned up, unknown, exit 70',
    async moreMs => {
      const run = new LiveRun(scenario());
      await run.soaking(moreMs);
      kill(run.pid(/proxy/));
      const code = await within(realClock, 20_000, run.ended, 'still there');
      expect({ code, left: await run.left(5000) }).toEqual({ code: 70, left: [] });
      expect(run.result()).toMatchObject({
        trials: [{ verdict: 'unknown', unknownBecause: expect.arrayContaining(['proxy-lost']) }],
      });
    },
  );

  it('harness and guardian: `poolsoak clean` sweeps', async () => {
    const run = new LiveRun(scenario());
    await run.soaking(300);
    kill(run.pid(/^guardian/));
    run.child.kill('SIGKILL');
    await run.ended;
    const cleaned = spawnSync(process.execPath, [cli, 'clean'], {
      env: { ...process.env, TMPDIR: run.tmp },
      encoding: 'utf8',
    });
    expect(cleaned.stdout).toMatch(/^left by 1 dead runs: \d+ processes ended, 1 folders removed/);
    expect(await run.left(1000)).toEqual([]);
  });
});

describe('a run that is asked to stop', () => {
  it.each([
    ['SIGINT', 130, 500],
    ['SIGINT', 130, duringOutage],
    ['SIGTERM', 143, 500],
  ] as const)('%s: heals, judges what there is, exits %i (after %i ms)', async (signal, exitCode, moreMs) => {
    const run = new LiveRun(scenario());
    await run.soaking(moreMs);
    run.child.kill(signal);
    const code = await within(realClock, 20_000, run.ended, 'still there');
    expect({ code, left: await run.left(5000) }).toEqual({ code: exitCode, left: [] });
    expect(run.result()).toMatchObject({
      run: { status: 'interrupted', verdict: 'unknown' },
      trials: [{ verdict: 'unknown', unknownBecause: expect.arrayContaining(['interrupted']) }],
    });
  });

  it('SIGINT before anything was submitted: nothing is judged, nothing is left', async () => {
    const run = new LiveRun(scenario());
    await waitUntil(realClock, () => run.pid(/^guardian/) !== undefined, { everyMs: 5, limitMs: 10_000 });
    run.child.kill('SIGINT');
    const code = await within(realClock, 20_000, run.ended, 'still there');
    expect({ code, left: await run.left(5000) }).toEqual({ code: 130, left: [] });
    expect(run.result().run).toMatchObject({ status: 'interrupted', verdict: 'unknown' });
    expect(run.stderr).not.toContain('bug');
  });

  it('a second SIGINT: leaves at once, and the guardian cleans up', async () => {
    const run = new LiveRun(scenario());
    await run.soaking(300);
    run.child.kill('SIGINT');
    await realClock.sleepMs(100);
    run.child.kill('SIGINT');
    const code = await within(realClock, 2000, run.ended, 'still there');
    expect({ code, left: await run.left(5000) }).toEqual({ code: 130, left: [] });
  });
});

describe('a worker that is killed', () => {
  it('is a crash, and the shift goes on with a new life', async () => {
    const run = new LiveRun(scenario());
    await run.soaking(300);
    kill(run.pid(/^worker-0\.1/));
    const again = () => run.pid(/^worker-0\.2/);
    while (again() === undefined) await realClock.sleepMs(50);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(130);
    expect(run.result().trials[0]).toMatchObject({ crashes: 1, verdict: 'fail' });
  });
});

/** A small disk of its own takes root, and a kernel that lets it. */
function canMount(): boolean {
  const at = tempFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', at]).status === 0;
  if (mounted) spawnSync('umount', [at]);
  return mounted;
}

describe.runIf(canMount())('a disk that is full', () => {
  it('stops the run with one message, and leaves nothing behind', async () => {
    const disk = tempFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', disk]);
    expect(mounted.status).toBe(0);
    try {
      const run = new LiveRun(scenario(), join(disk, 'out'));
      const code = await within(realClock, 30_000, run.ended, 'still there');
      expect(run.stderr).toMatch(/poolsoak: the disk is full, so the run was stopped and cleaned up: ENOSPC/);
      expect(run.stderr).not.toMatch(/\n\s+at /);
      expect({ code, left: await run.left(5000) }).toEqual({ code: 69, left: [] });
    } finally {
      spawnSync('umount', [disk]);
    }
  });
});
