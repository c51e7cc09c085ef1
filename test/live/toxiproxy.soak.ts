import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock, waitUntil, within } from '../../src/clock.ts';
import type { ScenarioInput } from '../../src/scenario.ts';
import { cli, poolsoak, scenarioFile } from '../fixtures/command.ts';
import { LiveRun } from '../fixtures/live-run.ts';
import { removeTempFolders, soakIt, tempFolder } from '../fixtures/soak-it.ts';
import { story } from '../fixtures/story.ts';
import { hasToxiproxy, type StockToxiproxy, startToxiproxy } from '../fixtures/toxiproxy.ts';

const restart = { at: '1s', fault: { fault: 'restart-database', settings: { down: '1s' } } };
const idle = (how: string) => ({
  at: '3s',
  fault: { fault: 'idle-kill', settings: { after: '400ms', how } },
});

const app = { release: 'with-error', onPoolError: 'listen', onClientError: 'listen' } as const;

/** Busy until the restart and after it; then a pause with bursts, between which connections lie idle for too long. */
const twoFaults: ScenarioInput = story({
  duration: '6s',
  patience: '1s',
  drain: '2s',
  sessions: { count: 20, every: '200ms' },
  bursts: ['500ms', '3500ms', '4300ms', '5100ms'].map(at => ({ at, over: '20ms', submits: 1 })),
  breaks: [{ from: '2800ms', to: '6s', returnOver: '0s' }],
  faults: [restart, idle('drop')],
  candidates: {
    recycles: { pool: 'pg-pool', settings: { idleTimeoutMillis: 150, connectionTimeoutMillis: 1000 }, app },
    persistent: { pool: 'pg-pool', settings: { idleTimeoutMillis: 0 }, app },
  },
});

afterAll(removeTempFolders);

describe.skipIf(!hasToxiproxy)('a run through a stock Toxiproxy', () => {
  let stock: StockToxiproxy;
  beforeAll(async () => {
    stock = await startToxiproxy();
  });
  afterAll(() => stock?.close());
  const onlyTheStranger = async () => expect(await stock.names()).toEqual([stock.stranger]);

  it('judges a restart and idle kills as through the embedded proxy', { timeout: 120_000 }, async () => {
    const judged = async (proxy: StockToxiproxy['choice']) => {
      const { report, records } = await soakIt(twoFaults, { proxy });
      const trials = report.trials.map(
        ({ candidate, verdict, checks, unknownBecause, kills, writes }, n) => ({
          candidate,
          verdict,
          unknownBecause,
          decided: checks.filter(check => check.verdict !== 'pass').map(check => [check.name, check.verdict]),
          killed: kills.length > 0 && kills.every(({ how, conn }) => how === 'drop' && conn !== null),
          excused: writes.excused.unsaved > 0,
          refused: records(n).some(record => record.k === 'probe' && record.code === 'ECONNREFUSED'),
        }),
      );
      return { trials, key: report.trials[0]!.key.proxy, world: report.run.world.proxy };
    };
    const own = await judged({ kind: 'embedded' });
    const through = await judged(stock.choice);
    expect(through.trials).toEqual(own.trials);
    expect(through.trials).toMatchObject([
      { candidate: 'recycles', verdict: 'pass', excused: true, refused: true },
      { candidate: 'persistent', verdict: 'fail', killed: true, excused: true, refused: true },
    ]);
    expect(own.key).toBe('embedded');
    expect(through.key).toMatch(/^toxiproxy \d+\.\d+/);
    expect(through.world).toMatchObject({ kind: 'toxiproxy', url: stock.url });
    await onlyTheStranger();
  });

  it('says so in the report, in the replay line and in the ledger', async () => {
    const out = join(tempFolder(), 'out');
    const proxy = `toxiproxy=${stock.url}`;
    const { stdout, status, stderr } = poolsoak([
      'run',
      scenarioFile(story()),
      '--proxy',
      proxy,
      '--out',
      out,
    ]);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(new RegExp(`through Toxiproxy \\d.* at ${stock.url}`));
    expect(stdout).toContain(`--proxy ${proxy}`);
    const again = poolsoak(['report', out]);
    expect(again.stdout).toBe(stdout);
    await onlyTheStranger();
  });

  const long = (faults: ScenarioInput['faults']) => story({ duration: '30s', faults });
  const args = () => ['--proxy', `toxiproxy=${stock.url}`];
  it.each([
    ['one proxy', []],
    ['a proxy per connection', [idle('rst')]],
  ])('that is killed leaves nothing on it, %s', async (_what, faults) => {
    const run = new LiveRun(scenarioFile(long(faults)), undefined, args());
    await run.soaking(300);
    expect((await stock.names()).length).toBeGreaterThan(1);
    run.child.kill('SIGKILL');
    expect(await run.left(5000)).toEqual([]);
    await onlyTheStranger();
  });

  it('whose guardian is killed too is swept by `poolsoak clean`', async () => {
    const run = new LiveRun(scenarioFile(long([idle('drop')])), undefined, args());
    await run.soaking(300);
    process.kill(run.pid(/^guardian/)!, 'SIGKILL');
    run.child.kill('SIGKILL');
    await run.ended;
    const env = { ...process.env, TMPDIR: run.tmp };
    const cleaned = spawnSync(process.execPath, [cli, 'clean'], { env, encoding: 'utf8' });
    expect(cleaned.stdout).toMatch(/^left by 1 dead runs: .*, \d+ proxies and firewall tables\n$/);
    expect(await run.left(1000)).toEqual([]);
    await onlyTheStranger();
  });

  it.each([
    ['one proxy', []],
    ['a proxy per connection', [idle('drop')]],
  ])('that loses it is stopped: unknown, exit 70, %s', async (_what, faults) => {
    const own = await startToxiproxy();
    const run = new LiveRun(scenarioFile(long(faults)), undefined, ['--proxy', `toxiproxy=${own.url}`]);
    await run.soaking(200);
    process.kill(own.pid, 'SIGKILL');
    const code = await within(realClock, 20_000, run.ended, 'still there');
    expect({ code, left: await run.left(5000) }).toEqual({ code: 70, left: [] });
    expect(run.result().trials[0]!.unknownBecause).toContain('proxy-lost');
    await own.close();
  });

  it('that is interrupted cleans up', async () => {
    const run = new LiveRun(scenarioFile(long([])), undefined, args());
    await run.soaking(300);
    run.child.kill('SIGINT');
    expect(await within(realClock, 20_000, run.ended, 'still there')).toBe(130);
    await waitUntil(realClock, async () => (await stock.names()).length === 1, {
      everyMs: 20,
      limitMs: 1000,
    });
    await onlyTheStranger();
  });
});
