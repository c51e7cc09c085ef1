import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

/** Who may import whom, types included. A room is a folder of src/, or a file beside them. */
const may: Record<string, string[]> = {
  clock: [],
  random: [],
  duration: [],
  failure: [],
  argument: [],
  version: [],
  vitals: [],
  ledger: [],
  problems: [],
  pools: ['clock'],
  toxiproxy: [],
  guardian: ['clock', 'random', 'toxiproxy'],
  proxy: ['clock', 'random'],
  slots: ['clock', 'proxy', 'toxiproxy'],
  world: ['clock', 'failure', 'random', 'guardian', 'pools', 'slots', 'toxiproxy'],
  faults: ['world', 'duration'],
  worker: ['clock', 'ledger', 'pools', 'vitals'],
  scenario: ['duration', 'faults', 'pools', 'problems'],
  scaling: ['duration', 'faults', 'pools', 'problems', 'scenario'],
  'plan-faults': ['duration', 'faults', 'problems', 'scaling', 'scenario'],
  plan: ['duration', 'faults', 'plan-faults', 'pools', 'problems', 'random', 'scaling', 'scenario'],
  workload: ['plan', 'random'],
  soak: ['clock', 'failure', 'faults', 'guardian', 'ledger', 'plan', 'random', 'worker', 'workload', 'world'],
  sim: ['clock', 'failure', 'plan', 'pools', 'random', 'soak', 'worker', 'world'],
  metrics: ['ledger', 'plan', 'random'],
  checks: ['metrics', 'plan', 'duration'],
  report: ['checks', 'metrics', 'plan'],
  reporters: ['report', 'metrics', 'checks'],
  registries: ['checks', 'faults', 'pools', 'scenario'],
  load: ['failure', 'pools', 'problems', 'scenario'],
  config: ['failure', 'load', 'problems', 'scenario', 'world'],
  results: ['checks', 'failure', 'ledger', 'metrics', 'plan', 'report', 'reporters'],
  request: [
    'clock',
    'failure',
    'faults',
    'load',
    'plan',
    'problems',
    'random',
    'report',
    'reporters',
    'scenario',
    'soak',
    'version',
    'world',
  ],
  trial: ['clock', 'ledger', 'request', 'world'],
  progress: ['clock', 'plan', 'request', 'soak'],
  pace: ['clock'],
  place: ['clock', 'guardian', 'plan', 'request', 'sim', 'soak', 'world'],
  run: ['ledger', 'pace', 'place', 'plan', 'report', 'request', 'results', 'soak', 'trial', 'version'],
  index: ['clock', 'config', 'faults', 'load', 'pools', 'registries', 'reporters', 'run', 'scenario'],
  cli: [
    'argument',
    'clock',
    'config',
    'failure',
    'guardian',
    'load',
    'plan',
    'progress',
    'proxy',
    'registries',
    'report',
    'reporters',
    'results',
    'run',
    'version',
    'vitals',
    'world',
  ],
};

/** Rooms of plug-ins: files beside each other import contract and helpers, never each other. */
const plugins: Record<string, string[]> = {
  pools: ['pool.ts', 'load.ts', 'index.ts', 'pg/', 'mysql2/'],
  faults: ['fault.ts', 'index.ts'],
  checks: readdirSync(join(src, 'checks')).filter(file => isShared('checks', file)),
  reporters: ['reporter.ts', 'words.ts', 'index.ts'],
  'proxy/toxics': ['toxic.ts', 'index.ts'],
};

/** Of a plug-in room, what its barrel does not name. */
function isShared(room: string, file: string): boolean {
  const barrel = readFileSync(join(src, room, 'index.ts'), 'utf8');
  return !barrel.includes(`'./${file}'`);
}

interface Source {
  path: string;
  text: string;
  imports: string[];
}

function sources(folder: string): Source[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => {
      const path = relative(src, join(folder, file));
      const text = readFileSync(join(folder, file), 'utf8');
      const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)];
      return { path, text, imports: found.map(([, to]) => relative(src, join(folder, dirname(file), to!))) };
    });
}

const room = (path: string): string => path.split('/')[0]!.replace(/\.ts$/, '');

/** Every import that the table does not allow. */
function forbidden(all: Source[]): string[] {
  return all.flatMap(({ path, imports }) =>
    imports
      .filter(to => room(to) !== room(path) && !(may[room(path)] ?? []).includes(room(to)))
      .map(to => `${path} imports ${to}`),
  );
}

/** A way from a file back to itself, or null. */
function cycle(all: Source[]): string | null {
  const graph = new Map(all.map(({ path, imports }) => [path, imports]));
  const done = new Set<string>();
  const walk = (path: string, trail: string[]): string | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path].join(' -> ');
    if (done.has(path)) return null;
    for (const to of graph.get(path) ?? []) {
      const found = walk(to, [...trail, path]);
      if (found) return found;
    }
    done.add(path);
    return null;
  };
  for (const { path } of all) {
    const found = walk(path, []);
    if (found) return found;
  }
  return null;
}

const uses = (all: Source[], pattern: RegExp, allowed: string[]): string[] =>
  all
    .filter(({ path, text }) => !allowed.includes(path) && pattern.test(text))
    .map(({ path, text }) => `${path}: ${pattern.exec(text)![0]}`);

const all = sources(src);

describe('architecture', () => {
  it('has a line in the table for every room', () => {
    expect([...new Set(all.map(({ path }) => room(path)))].filter(name => !(name in may))).toEqual([]);
  });

  it('imports only what the table allows', () => {
    expect(forbidden(all)).toEqual([]);
  });

  it('finds a forbidden import when there is one', () => {
    const planted = { path: 'ledger/x.ts', text: '', imports: ['world/world.ts'] };
    expect(forbidden([planted])).toEqual(['ledger/x.ts imports world/world.ts']);
  });

  it('has no cycles', () => {
    expect(cycle(all)).toBeNull();
  });

  it('finds a cycle when there is one', () => {
    const planted = [
      { path: 'a.ts', text: '', imports: ['b.ts'] },
      { path: 'b.ts', text: '', imports: ['a.ts'] },
    ];
    expect(cycle(planted)).toBe('a.ts -> b.ts -> a.ts');
  });

  it.each(Object.entries(plugins))('%s: plug-ins know the contract and not each other', (folder, shared) => {
    const own = all.filter(
      ({ path }) => dirname(path) === folder && !shared.some(name => path === `${folder}/${name}`),
    );
    const crossed = own.flatMap(({ path, imports }) =>
      imports
        .filter(to => to.startsWith(`${folder}/`) && !shared.some(name => to.startsWith(`${folder}/${name}`)))
        .map(to => `${path} imports ${to}`),
    );
    expect(own.length).toBeGreaterThan(0);
    expect(crossed).toEqual([]);
  });

  it('keeps time in clock.ts and its few makers', () => {
    const time = /\b(Date\.now|new Date\(|performance\.now|process\.hrtime|setTimeout\(|setInterval\()/;
    // sim/ replaces what others take time and chance from.
    const makers = ['clock.ts', 'sim/loop.ts', 'sim/timers.ts', 'sim/globals.ts', 'sim/net/socket-base.ts'];
    expect(uses(all, time, makers)).toEqual([]);
  });

  it('keeps chance in random.ts', () => {
    expect(
      uses(all, /\b(Math\.random|randomBytes|randomUUID|randomInt)\b/, ['random.ts', 'sim/globals.ts']),
    ).toEqual([]);
  });

  it('keeps plan, metrics, checks and reporters free of I/O', () => {
    const pure = all.filter(({ path }) =>
      ['plan', 'metrics', 'checks', 'reporters', 'report', 'workload'].includes(room(path)),
    );
    expect(uses(pure, /node:(fs|net|http|child_process|timers|process)/, [])).toEqual([]);
  });

  it('writes to stdout and reads argv and environment in cli.ts alone', () => {
    const processes = ['cli.ts', 'guardian/main.ts', 'proxy/main.ts', 'slots/main.ts', 'sim/globals.ts'];
    expect(uses(all, /process\.(stdout|argv)/, processes)).toEqual([]);
  });

  it('keeps files under 300 lines', () => {
    const long = [...all, ...sources(join(root, 'bench')), ...sources(join(root, 'scenarios'))]
      .map(({ path, text }) => [path, text.split('\n').length - 1] as const)
      // Of a contract that others implement the whole is read at once.
      .filter(([path, lines]) => lines > 300 && path !== 'metrics/types.ts');
    expect(long).toEqual([]);
  });
});
