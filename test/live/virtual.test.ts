import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import day from '../../scenarios/fgscan-day.ts';
import shift from '../../scenarios/fgscan-shift.ts';
import { restartDatabase } from '../../src/index.ts';
import type { Report, RunFacts } from '../../src/report.ts';
import { version } from '../../src/version.ts';
import { isVictim } from '../fixtures/saboteurs/wrap.ts';
import { removeTempFolders, saboteur, soakIt, tempFolder } from '../fixtures/soak-it.ts';
import { story } from '../fixtures/story.ts';

const cli = resolve(import.meta.dirname, '../../dist/src/cli.js');

afterAll(removeTempFolders);

interface Ended {
  code: number | null;
  stderr: string;
  out: string;
}

function poolsoak(args: string[], { env = {}, node = [] as string[] } = {}): Promise<Ended> {
  const out = join(tempFolder(), 'out');
  return new Promise(done => {
    const child = spawn(process.execPath, [...node, cli, ...args, '--out', out], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', text => {
      stderr += text;
    });
    child.on('close', code => done({ code, stderr, out }));
  });
}

const resultOf = ({ out }: Ended): Report => JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
const hashes = (report: Report): string[] => report.trials.map(({ ledgerSha256 }) => ledgerSha256);

describe('the same seed', () => {
  const args = ['run', 'fgscan-shift', '--virtual', '--seed', '7', '--exit-zero'];

  it('gives the same ledgers in processes that differ, and another seed others', async () => {
    const processes = await Promise.all([
      poolsoak(args, { env: { TZ: 'Asia/Tokyo' } }),
      poolsoak(args, { env: { TZ: 'America/New_York' }, node: ['--max-old-space-size=300'] }),
      poolsoak(args, { env: { TZ: 'UTC', LANG: 'C' }, node: ['--max-semi-space-size=1'] }),
      poolsoak(['run', 'fgscan-shift', '--virtual', '--seed', '8', '--exit-zero']),
    ]);
    expect(processes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const [first, second, third, other] = processes.map(resultOf).map(hashes);
    expect(first).toHaveLength(5);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    for (const [n, hash] of other!.entries()) expect(hash).not.toBe(first![n]);
  });

  it('gives the same ledgers however time is driven', async () => {
    const [burst, single] = [
      await soakIt(shift, { virtual: 'userspace', drive: 'burst' }),
      await soakIt(shift, { virtual: 'userspace', drive: 'single' }),
    ];
    expect(hashes(single.report)).toEqual(hashes(burst.report));
  });
});

it.each([1, 2, 3])('fgscan-shift ends as expected in virtual time, every candidate, seed %i', async seed => {
  const { report } = await soakIt(shift, { seeds: [seed], virtual: 'userspace' });
  const odd = report.trials.filter(({ expected }) => !expected?.asExpected);
  expect(odd.map(({ candidate, expected }) => [candidate, expected?.because])).toEqual([]);
});

it('fgscan-day ends as expected, every candidate', async () => {
  const { report } = await soakIt(day, { virtual: 'userspace' });
  const odd = report.trials.filter(({ expected }) => !expected?.asExpected);
  expect(odd.map(({ candidate, expected }) => [candidate, expected?.because])).toEqual([]);
});

describe('what is said of a virtual run', () => {
  it('is the ratio it reached and the command that gives it again', async () => {
    const ended = await poolsoak(['run', 'fgscan-shift', '--virtual', '--candidates', 'pg-pool-tuned']);
    const { ratio, replay, virtual } = JSON.parse(
      readFileSync(join(ended.out, 'run.json'), 'utf8'),
    ) as RunFacts;
    expect(ended.code).toBe(0);
    expect(virtual).toBe(true);
    expect(ratio).toBeGreaterThan(100);
    expect(replay).toBe(
      `npx poolsoak@${version} run fgscan-shift --candidates pg-pool-tuned --seed 1 --virtual userspace --speed 1`,
    );
    expect(ended.stderr).toMatch(/virtual time: \d+ s in each real second/);
    expect(ended.stderr).toContain(replay);
  });
});

describe('saboteurs, in virtual time', () => {
  /** Everybody at once, and in the midst of it the server crashes: commits whose answers are lost. */
  const crashes = [60, 120, 180, 240, 300, 360, 420, 480];
  const habits = { onPoolError: 'listen', onClientError: 'listen', release: 'with-error' } as const;
  const retrying = (idempotency: 'none' | 'key-table') => ({
    pool: 'pg-pool',
    app: { ...habits, retry: { max: 3, backoff: '10s', on: 'any', idempotency } } as const,
  });
  const busy = story({
    duration: '10m',
    patience: '10s',
    drain: '60s',
    workers: 4,
    sessions: { count: 100, every: '60s' },
    server: { appSlots: 60 },
    bursts: crashes.map(s => ({ at: `${s * 1000 - 10}ms`, over: '20ms', submits: 3 })),
    faults: crashes.map(s => ({ at: `${s}s`, fault: restartDatabase({ how: 'immediate', down: '10s' }) })),
    candidates: {
      plain: { pool: 'pg-pool', app: habits },
      blind: retrying('none'),
      keyed: retrying('key-table'),
    },
  });

  it('a commit without its answer is a ghost; repeated blindly it is there twice, with a key once', async () => {
    const { report } = await soakIt(busy, { seeds: [1, 2], virtual: 'userspace' });
    const sum = (candidate: string, cell: 'ghost' | 'duplicated' | 'lost' | 'phantom'): number =>
      report.trials.reduce((all, trial) => all + (trial.candidate === candidate ? trial.writes[cell] : 0), 0);
    expect(sum('plain', 'ghost')).toBeGreaterThan(0);
    expect(sum('plain', 'duplicated')).toBe(0);
    expect(sum('blind', 'duplicated')).toBeGreaterThan(0);
    expect(sum('keyed', 'duplicated')).toBe(0);
    for (const candidate of ['plain', 'blind', 'keyed'])
      expect([sum(candidate, 'lost'), sum(candidate, 'phantom')]).toEqual([0, 0]);
  });

  it('what a server may lose by its settings is lost in a crash', async () => {
    const forgetful = {
      ...busy,
      durability: 'may-lose' as const,
      server: { appSlots: 60, settings: { synchronous_commit: 'off' } },
      candidates: { plain: busy.candidates!.plain! },
    };
    const { report } = await soakIt(forgetful, { virtual: 'userspace' });
    expect(report.trials[0]!.writes.lost).toBeGreaterThan(0);
  });

  it('one that acks without COMMIT is found', async () => {
    const candidates = { liar: { pool: saboteur('ack-without-commit'), app: habits } };
    const { report, records } = await soakIt({ ...busy, faults: [], candidates }, { virtual: 'userspace' });
    const { writes } = report.trials[0]!;
    const victims = records().filter(record => record.k === 'submit' && isVictim(record.seq)).length;
    expect(writes).toMatchObject({ lost: victims, fine: writes.acked - victims, duplicated: 0, torn: 0 });
    expect(victims).toBeGreaterThan(100);
  });
});

describe('what cannot run in virtual time', () => {
  it('is refused with the reason, before anything starts', async () => {
    const pool = join(tempFolder(), 'native.mjs');
    const path = resolve(import.meta.dirname, '../../dist/src/pools/pg-pool.js');
    writeFileSync(
      pool,
      `import { pgPool } from '${path}';\nexport default { ...pgPool, notVirtual: 'its sockets are libpq\\'s' };\n`,
    );
    const scenario = join(tempFolder(), 'native-story.mjs');
    writeFileSync(
      scenario,
      `export default ${JSON.stringify(story({ candidates: { native: { pool } } }))};\n`,
    );
    const { code, stderr, out } = await poolsoak(['run', scenario, '--virtual']);
    expect(code).toBe(64);
    expect(stderr).toContain("cannot run with --virtual: its sockets are libpq's");
    expect(existsSync(out)).toBe(false);
  });

  it('a statement the simulated server does not know ends the run, and is named', async () => {
    const pool = join(tempFolder(), 'odd.mjs');
    const path = resolve(import.meta.dirname, '../../dist/src/pools/pg-pool.js');
    writeFileSync(
      pool,
      `import { pgPool } from '${path}';
const open = async options => {
  const pool = await pgPool.open(options);
  const acquire = async () => {
    const lease = await pool.acquire();
    await lease.query('VACUUM FULL');
    return lease;
  };
  return { acquire, gauges: () => pool.gauges(), close: () => pool.close() };
};
export default { ...pgPool, open };\n`,
    );
    const scenario = join(tempFolder(), 'odd-story.mjs');
    writeFileSync(scenario, `export default ${JSON.stringify(story({ candidates: { odd: { pool } } }))};\n`);
    const { code, stderr } = await poolsoak(['run', scenario, '--virtual']);
    expect(code).toBe(64);
    expect(stderr).toMatch(/does not know this statement: VACUUM FULL/);
    expect(stderr).toMatch(/without --virtual/);
  });
});
