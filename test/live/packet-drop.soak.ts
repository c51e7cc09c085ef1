import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ScenarioInput } from '../../src/scenario.ts';
import { packetLossLack } from '../../src/world/firewall.ts';
import { LiveRun } from '../fixtures/live-run.ts';
import { removeTempFolders, soakIt, tempFolder } from '../fixtures/soak-it.ts';
import { story } from '../fixtures/story.ts';

const lack = packetLossLack();
const app = { release: 'with-error', onPoolError: 'listen', onClientError: 'listen' } as const;
const patient = { pool: 'pg-pool', settings: { idleTimeoutMillis: 0 }, app };
const timed = {
  ...patient,
  settings: { ...patient.settings, query_timeout: 300, connectionTimeoutMillis: 300 },
};

const lost = (which: string): ScenarioInput =>
  story({
    duration: '5s',
    patience: '1s',
    sessions: { count: 20, every: '200ms' },
    bursts: [{ at: '500ms', over: '20ms', submits: 1 }],
    faults: [{ at: '1500ms', until: '3s', fault: { fault: 'packet-drop', settings: { which } } }],
    candidates: { patient, timed },
  });

const tables = () => spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout;

afterAll(removeTempFolders);

describe.skipIf(lack !== null)(`a soak in which packets are lost${lack ? ` (${lack})` : ''}`, () => {
  it('all of them: an outage, which excuses and is recovered from', async () => {
    const { report, records } = await soakIt(lost('all'));
    for (const [n, trial] of report.trials.entries()) {
      expect(trial.recovery).toHaveLength(1);
      expect(trial.recovery[0]!.outageMs).toBeGreaterThan(1000);
      expect(trial.writes.excused.unsaved + trial.writes.excused.saved).toBeGreaterThan(0);
      const codes = records(n).flatMap(record =>
        record.k === 'probe' && !record.works ? [record.code] : [],
      );
      expect([...new Set(codes)]).toEqual(['timeout']);
      expect(trial.checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    }
  });

  it('of the connections there are: no outage, no excuse; who waits is late, who gives up does not save', async () => {
    const { report } = await soakIt(lost('existing'));
    const [waits, gives] = report.trials;
    const failed = (trial: typeof waits) =>
      trial!.checks.filter(({ verdict }) => verdict === 'fail').map(({ name }) => name);
    expect([waits!.recovery, gives!.recovery]).toEqual([[], []]);
    expect(waits!.writes).toMatchObject({ unsaved: 0, lost: 0 });
    expect(waits!.writes.late).toBeGreaterThan(0);
    expect(failed(gives)).toEqual(expect.arrayContaining(['poisoned', 'unsaved']));
    expect(gives!.writes.excused).toEqual({ saved: 0, unsaved: 0 });
  });

  it('that is killed leaves no table', async () => {
    const path = join(tempFolder(), 'mine.mjs');
    const scenario = story({
      duration: '30s',
      faults: [
        { at: '200ms', until: '29s', fault: { fault: 'packet-drop', settings: { which: 'existing' } } },
      ],
    });
    writeFileSync(path, `export default ${JSON.stringify(scenario)};\n`);
    const run = new LiveRun(path);
    await run.soaking(1000);
    const [table] = run.journal().flatMap(entry => (entry as { table?: string }).table ?? []);
    expect(tables()).toContain(table);
    run.child.kill('SIGKILL');
    expect(await run.left(5000)).toEqual([]);
    expect(tables()).not.toContain(table);
  });
});
