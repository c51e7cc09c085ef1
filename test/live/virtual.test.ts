import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
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

it('fgscan-shift ends as expected in virtual time, every candidate', async () => {
  const { report } = await soakIt(shift, { virtual: 'userspace' });
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

describe("a pool of the user's own, in virtual time", () => {
  const pgPool = resolve(import.meta.dirname, '../../dist/src/pools/pg-pool.js');

  /** A scenario with a pool made of this text, and pg-pool's options in `options`. */
  function scenarioWith(open: string, head = '', over = {}): string {
    const folder = tempFolder();
    const pool = join(folder, 'own.mjs');
    const text = `import { pgPool } from '${pgPool}';\n${head}\nexport default { ...pgPool, open: ${open} };\n`;
    writeFileSync(pool, text);
    const scenario = join(folder, 'own-story.mjs');
    const candidates = { own: { pool, app: { onPoolError: 'listen', onClientError: 'listen' } as const } };
    const all = story({ duration: '20s', sessions: { count: 10, every: '1s' }, candidates, ...over });
    writeFileSync(scenario, `export default ${JSON.stringify(all)};\n`);
    return scenario;
  }
  const trialOf = (ended: Ended) => resultOf(ended).trials[0]!;

  it('that leaves by process.exit is a crash of its worker, and not the end of the run', async () => {
    const open = '(o) => { setTimeout(() => process.exit(0), 5000); return pgPool.open(o); }';
    const ended = await poolsoak(['run', scenarioWith(open), '--virtual']);
    expect(ended.code).toBe(1);
    expect(trialOf(ended).crashes).toBeGreaterThan(2);
  });

  it('is a module of its own in each worker and each trial, with virtual time in what it keeps', async () => {
    const head = "import { promisify } from 'node:util';\nconst sleep = promisify(setTimeout);\nlet shared;";
    const open = `(o) => {
      shared ??= pgPool.open(o);
      return { ...shared, acquire: async () => (await sleep(20), shared.acquire()) };
    }`;
    const ended = await poolsoak(['run', scenarioWith(open, head), '--virtual', '--repeat', '2']);
    const { trials } = resultOf(ended);
    expect(trials.map(({ verdict }) => verdict)).toEqual(['pass', 'pass']);
    expect(trials.map(({ latency }) => latency.p50Ms! > 20 && latency.p50Ms! < 60)).toEqual([true, true]);
  });

  it('writes to its own output, which is in the ledger', async () => {
    const open = "(o) => { console.log('here I am'); return pgPool.open(o); }";
    const ended = await poolsoak(['run', scenarioWith(open), '--virtual']);
    const ledger = readFileSync(join(ended.out, trialOf(ended).ledger), 'utf8');
    expect(ended.code).toBe(0);
    expect(ledger).toContain('"ev":"output","crash":false,"detail":"here I am');
  });

  it('that comes back from real work with a timer is refused, since whose it is cannot be told', async () => {
    const head = "import { readFile } from 'node:fs';";
    const open =
      '(o) => { readFile(o.endpoint.host, () => setTimeout(() => {}, 10)); return pgPool.open(o); }';
    const ended = await poolsoak(['run', scenarioWith(open, head, { duration: '8h' }), '--virtual']);
    expect(ended.code).toBe(64);
    expect(ended.stderr).toMatch(
      /came back and set a timer; whose it is cannot be told: run without --virtual/,
    );
  });

  it('that breaks the virtual world leaves a ledger that can be read', async () => {
    const open =
      '(o) => { setTimeout(function again() { setImmediate(again); }, 5000); return pgPool.open(o); }';
    const ended = await poolsoak(['run', scenarioWith(open), '--virtual']);
    expect(ended.code).toBe(70);
    expect(ended.stderr).toMatch(/virtual time does not advance/);
    const { run, trials } = resultOf(ended);
    expect([run.status, run.verdict, trials.length]).toEqual(['interrupted', 'unknown', 1]);
    expect(trials[0]!.unknownBecause).toContain('interrupted');
  });
});

it('the most sessions of a server are counted as they come, not seen by a sample every 30 s', async () => {
  const { report } = await soakIt(
    story({
      duration: '2m',
      sessions: { count: 10, every: '20s' },
      bursts: [{ at: '10s', over: '1ms' }],
      candidates: { each: { pool: 'connect-per-submit', app: { onClientError: 'listen' } } },
    }),
    { virtual: 'userspace' },
  );
  expect(report.trials[0]!.connections.serverMax).toBeGreaterThanOrEqual(9);
});

it('many trials leave no listener behind, and their ratio is that of what was soaked', async () => {
  const ended = await poolsoak([
    'run',
    'fgscan-shift',
    '--virtual',
    '--candidates',
    'pg-pool-tuned',
    '--repeat',
    '12',
  ]);
  expect(ended.stderr).not.toMatch(/MaxListeners/);
  expect(ended.code).toBe(0);
});
