import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { removeTempFolders, tempFolder } from '../fixtures/soak-it.ts';

const cli = resolve(import.meta.dirname, '../../dist/src/cli.js');

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function poolsoak(args: string[], cwd = tempFolder(), env = process.env): Promise<Ended> {
  return new Promise(done => {
    const child = spawn(process.execPath, [cli, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', text => {
      stdout += text;
    });
    child.stderr.on('data', text => {
      stderr += text;
    });
    child.on('close', code => done({ code, stdout, stderr }));
  });
}

/** A scenario file as a user writes it, in a folder of its own. */
function file(text: string, name = 'mine.ts'): string {
  const path = join(tempFolder(), name);
  writeFileSync(path, text);
  return path;
}

const short = (candidates: string, more = '') => `
import { defineScenario } from 'poolsoak';
export default defineScenario({
  name: 'mine', duration: '1s', patience: '2s', drain: '1s', workers: 2,
  sessions: { count: 10, every: '100ms' }, server: { appSlots: 20 }, ${more}
  candidates: { ${candidates} },
});`;
const good = "good: { pool: 'pg-pool', app: { onPoolError: 'listen', onClientError: 'listen' } }";
const lost = (which: string): string =>
  `faults: [{ at: '500ms', fault: { fault: 'packet-drop', settings: { which: '${which}' } } }],`;
const none = "none: { pool: 'null-pool' }";
const withSettings = (settings: string): string =>
  file(short(good).replace('appSlots: 20', `appSlots: 20, settings: { ${settings} }`));

afterAll(removeTempFolders);

describe('poolsoak run', () => {
  it('a run without a single ack exits 2', async () => {
    const { code, stdout } = await poolsoak(['run', file(short(none))]);
    expect({ code, said: stdout.includes('no-ack') }).toEqual({ code: 2, said: true });
  });

  it('takes the candidates that are for its engine, and says which are not', async () => {
    const scenario = file(short(`${none}, other: { pool: 'mysql2-pool' }`));
    const { code, stdout, stderr } = await poolsoak(['run', scenario]);
    expect({ code, said: stderr.includes('not for postgres, so left out: other') }).toEqual({
      code: 2,
      said: true,
    });
    expect(stdout).toContain('--candidates none ');
  });

  it('writes its files; report DIR gives them again, to the byte', async () => {
    const cwd = tempFolder();
    const ran = await poolsoak(['run', file(short(good)), '--out', 'out'], cwd);
    const dir = join(cwd, 'out');
    expect(readdirSync(dir).sort()).toEqual([
      'good-1.ledger.ndjson',
      'report.txt',
      'result.json',
      'run.json',
    ]);
    const before = ['result.json', 'report.txt'].map(name => readFileSync(join(dir, name), 'utf8'));
    for (const name of ['result.json', 'report.txt']) writeFileSync(join(dir, name), 'overwritten');
    const again = await poolsoak(['report', dir]);
    expect(['result.json', 'report.txt'].map(name => readFileSync(join(dir, name), 'utf8'))).toEqual(before);
    expect(again).toMatchObject({ code: ran.code, stdout: ran.stdout });
    const result = JSON.parse(before[0]!);
    expect(result.trials[0].writes.fine).toBe(result.trials[0].writes.acked);
    expect(result.trials[0].writes.acked).toBeGreaterThan(50);
  });

  it('lets nothing secret reach a file', async () => {
    const cwd = tempFolder();
    const talkative = resolve(import.meta.dirname, '../fixtures/saboteurs/talkative.ts');
    const app = "{ onPoolError: 'listen', onClientError: 'listen' }";
    await poolsoak(
      ['run', file(short(`talkative: { pool: '${talkative}', app: ${app} }`)), '--out', 'out'],
      cwd,
    );
    const ledger = readFileSync(join(cwd, 'out', 'talkative-1.ledger.ndjson'), 'utf8');
    expect(ledger).toMatch(/my password is \[secret\], in a URL \[secret\]/);
  });

  it('takes --exit-zero, which maps unknown to 0', async () => {
    const { code } = await poolsoak(['run', file(short(none)), '--exit-zero']);
    expect(code).toBe(0);
  });
});

describe('bad input: one message with what, where and what is allowed, before any server', () => {
  const out = tempFolder();
  writeFileSync(join(out, 'something'), '');
  const notAFolder = file('', 'not-a-folder');

  it.each([
    ['an unknown scenario', ['run', 'fgscan'], /no scenario "fgscan"; there (is|are) .*fgscan-shift/],
    ['a file that is not there', ['run', './none.ts'], /scenario \.\/none\.ts: there is no such file/],
    [
      'a scenario that throws',
      ['run', file("throw new Error('out of milk')")],
      /mine\.ts cannot be loaded: out of milk \(line 1\)/,
    ],
    ['a scenario that does not parse', ['run', file('export default {{')], /mine\.ts cannot be loaded: /],
    [
      'a scenario that exports nothing',
      ['run', file('export const x = 1')],
      /mine\.ts: exports no scenario; write "export default/,
    ],
    [
      'several mistakes',
      ['run', file(short(good, "patience2: 3, speed: 'x',"))],
      /2 mistakes\n {2}speed: .*\n {2}\(the whole\): unknown: patience2; allowed: name/,
    ],
    [
      'an unknown knob',
      ['run', file(short("a: { pool: 'pg-pool', settings: { maxx: 3 } }"))],
      /candidates\.a\.settings: unknown: maxx; allowed: .*max/,
    ],
    [
      'an unknown candidate',
      ['run', '--candidates', 'best'],
      /no candidate "best"; there are leaky, connect-per-submit/,
    ],
    ['an unknown engine', ['run', '--engine', 'oracle'], /argument 'oracle' is invalid.*postgres/],
    ['an unknown host', ['run', '--host', 'moon'], /argument 'moon' is invalid.*embedded/],
    ['an unknown reporter', ['run', '--reporters', 'smoke'], /no reporter "smoke"; there are json, text/],
    ['an unknown option', ['run', '--fast'], /unknown option '--fast'/],
    ['an unknown command', ['walk'], /unknown command 'walk'/],
    ['a seed that is none', ['run', '--seed', 'x'], /whole number from 0/],
    ['a speed below one', ['run', '--speed', '0'], /number from 1 to 10000/],
    [
      'a speed that breaks a floor',
      ['run', '--speed', '5000', '--candidates', 'pg-pool-tuned'],
      /candidates\.pg-pool-tuned\.settings\.\w+: \d+ is .* under its floor of 20 ms; the largest speed that works is \d+/,
    ],
    ['a folder that is not empty', ['run', '--out', out], /--out .*: the folder is not empty/],
    [
      'a folder that cannot be made',
      ['run', '--out', join(notAFolder, 'x')],
      /--out .*: cannot be written: /,
    ],
    ['a config that is not there', ['run', '--config', './none.ts'], /none\.ts cannot be loaded/],
    [
      'a config with an unknown key',
      ['run', '--config', file('export default { candidate: {} }')],
      /unknown: candidate; allowed: candidates, checks, defaults/,
    ],
    [
      'a config default out of range',
      ['run', '--config', file('export default { defaults: { speed: 0 } }')],
      /defaults\.speed: is 0/,
    ],
    [
      'a reserved server setting',
      ['run', withSettings("max_connections: '9'")],
      /server\.settings\.max_connections: is poolsoak's own to set/,
    ],
    [
      'a server setting that is none',
      ['run', withSettings("colour: 'blue'")],
      /unrecognized configuration parameter "colour"/,
    ],
    [
      'an adapter with parts missing',
      ['run', file(short(`a: { pool: '${file("export default { name: 'x', open() {} }", 'half.ts')}' }`))],
      /no pool adapter; missing or wrong: engines, settings, knobs, max, acquireTimeoutMs, versions/,
    ],
    [
      'a candidate of another engine',
      ['run', file(short("a: { pool: 'null-pool', engine: 'mysql' }"))],
      /candidates\.a: is for mysql; this run's engine is postgres/,
    ],
    [
      'a fault that virtual time cannot play',
      ['run', file(short(good, lost('existing'))), '--virtual'],
      /faults\[0\]: packet-drop cannot run with --virtual: .*; run without --virtual; instead: idle-kill/,
    ],
    [
      'a proxy that is none',
      ['run', '--proxy', 'squid'],
      /--proxy: is "squid"; must be embedded, or toxiproxy=/,
    ],
    [
      'a config whose proxy is none',
      ['run', '--config', file("export default { defaults: { proxy: 'toxiproxy=http://10.0.0.1' } }")],
      /defaults\.proxy: is "toxiproxy=http:\/\/10\.0\.0\.1"; must be embedded, or toxiproxy=URL/,
    ],
    [
      "a candidate named whose pool is another engine's",
      ['run', file(short(`${none}, other: { pool: 'mysql2-pool' }`)), '--candidates', 'other'],
      /candidates\.other: has pool mysql2-pool, which is for mariadb, mysql; this run's engine is postgres/,
    ],
    [
      'a result folder that is none',
      ['report', tempFolder()],
      /no result folder of poolsoak: there is no run\.json/,
    ],
  ])('%s', async (_what, args, message) => {
    const { code, stderr, stdout } = await poolsoak(args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  });

  it('what a fault needs and this machine has not: 69, before anything starts', async () => {
    const cwd = tempFolder();
    const env = { ...process.env, PATH: cwd };
    const ended = await poolsoak(['run', file(short(good, lost('existing'))), '--out', 'out'], cwd, env);
    const needs = process.platform === 'linux' ? 'needs nft \\(the package nftables\\)' : 'needs Linux';
    expect(ended.stderr).toMatch(
      new RegExp(`faults\\[0\\]: packet-drop ${needs}.*; instead: idle-kill with how "drop"`),
    );
    expect({ code: ended.code, made: readdirSync(cwd) }).toEqual({ code: 69, made: [] });
  });

  it('a ledger with a bad line in the middle, by its number', async () => {
    const dir = join(tempFolder(), 'x');
    mkdirSync(dir);
    const ran = await poolsoak(['run', file(short(none)), '--out', dir]);
    expect(ran.code).toBe(2);
    const path = join(dir, 'none-1.ledger.ndjson');
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, [...lines.slice(0, 5), 'garbage', ...lines.slice(6)].join('\n'));
    const { code, stderr } = await poolsoak(['report', dir]);
    expect({ code, said: stderr.includes('line 6: not a ledger record') }).toEqual({ code: 64, said: true });
  });

  it('a ledger cut in its last line is judged without it, and unknown', async () => {
    const dir = join(tempFolder(), 'x');
    await poolsoak(['run', file(short(good)), '--out', dir]);
    const path = join(dir, 'good-1.ledger.ndjson');
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.slice(0, Math.floor(whole.length / 2)));
    const { code, stdout } = await poolsoak(['report', dir]);
    expect({ code, said: stdout.includes('interrupted') }).toEqual({ code: 2, said: true });
  });
});

describe('poolsoak list', () => {
  it('names what there is', async () => {
    const { code, stdout } = await poolsoak(['list']);
    expect(code).toBe(0);
    for (const name of ['fgscan-shift', 'pg-pool', 'mysql2-pool', 'idle-kill', 'unsaved', 'text'])
      expect(stdout).toContain(name);
  });
});
