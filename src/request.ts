import { cpus, release, type } from 'node:os';
import { join } from 'node:path';
import { type Clock, wallNow } from './clock.ts';
import { UsageError } from './failure.ts';
import type { Need } from './faults/fault.ts';
import { problemText } from './load.ts';
import { type Plan, planTrial, planWarnings } from './plan.ts';
import type { Problem } from './problems.ts';
import { unguessable } from './random.ts';
import type { RunFacts, TrialReport } from './report.ts';
import type { Reporter } from './reporters/reporter.ts';
import type { Registries, Scenario } from './scenario.ts';
import type { SoakStatus } from './soak/soak.ts';
import { version } from './version.ts';
import { lackOf } from './world/lacks.ts';
import type { ProxyChoice } from './world/proxies/proxy.ts';
import { toxiproxyVersion } from './world/proxies/toxiproxy.ts';
import { MissingError } from './world/world.ts';

/** What is to be run: validated, every default filled in. */
export interface RunRequest {
  scenario: Scenario;
  /** The scenario's file or bare name, as given. */
  given: string;
  registries: Registries;
  candidates: readonly string[];
  seeds: readonly number[];
  speed: number;
  /** null: in real time. Else in virtual time, with such a path to the server. */
  virtual: Plan['path'] | null;
  /** The fault proxy of real trials; embedded unless said. */
  proxy?: ProxyChoice;
  /** null: poolsoak-results/<run id>. */
  out: string | null;
  reporters: readonly Reporter[];
  /** The config file that was laid over the scenario, as given. */
  config?: string;
  /** The command line; nothing that this version takes there is secret. */
  argv: readonly string[];
}

/** Whoever wants to see a run while it goes on. */
export interface Observer {
  /** The result folder is there, and nothing else yet. */
  folder(dir: string): void;
  trial(plan: Plan, done: number, of: number): void;
  /** null: it is over, and what it was made of shall go. */
  status(status: SoakStatus | null): void;
  judged(trial: TrialReport): void;
  /** Every trial is over. */
  ended(facts: RunFacts): void;
  warn(text: string): void;
}

export interface RunEdges {
  clock: Clock;
  /** Aborted by a signal (`interrupted`) or by a part of ours that died (`proxy-lost`, ...). */
  stop: AbortController;
  observe: Observer;
  /** p99 of the harness's own event loop since the last call. */
  loopDelayMs(): number | null;
  /** How virtual time is driven, `burst` unless said: it must make no difference, and tests show that. */
  drive?: 'burst' | 'single';
}

export const ledgerName = ({ candidate, seed }: Plan): string => `${candidate}-${seed}.ledger.ndjson`;

/** Every trial's plan, or one error with all that is wrong. */
export async function planRun(
  request: RunRequest,
  edges: RunEdges,
): Promise<{ plans: Plan[]; facts: RunFacts; out: string }> {
  const { scenario, registries, candidates, seeds, speed, virtual } = request;
  const proxy = proxyOf(request);
  const world = { host: hostOf(request), engine: 'postgres', path: virtual, proxy: proxy.kind } as const;
  const lacks = (need: Need) => lackOf(virtual ? 'virtual' : proxy.kind, need);
  // Equal seeds of one version give equal virtual trials, ids included.
  const nonce = () => (virtual ? version : unguessable(8));
  const planned = seeds.flatMap(seed =>
    candidates.map(candidate =>
      planTrial({ scenario, candidate, seed, speed, ...world, nonce: nonce(), lackOf: lacks }, registries),
    ),
  );
  refuse(
    request.given,
    planned.slice(0, candidates.length).flatMap(each => each.problems),
  );
  const plans = planned.map(({ plan }) => plan);
  const warnings = [...new Set(plans.flatMap(planWarnings))];
  for (const warning of warnings) edges.observe.warn(warning);
  const facts = runFacts(request, warnings, await facedBy(proxy));
  return { plans, facts, out: request.out ?? join('poolsoak-results', facts.id) };
}

const proxyOf = ({ proxy, virtual }: RunRequest): ProxyChoice => {
  const choice = proxy ?? { kind: 'embedded' };
  if (!virtual || choice.kind === 'embedded') return choice;
  throw new UsageError(
    '--proxy toxiproxy cannot run with --virtual: a Toxiproxy is a real process, and its time does not jump; leave one of them out',
  );
};

/** Every candidate meets the same faults, so that the same is said once. */
function refuse(given: string, problems: readonly Problem[]): void {
  const each = new Map(problems.map(problem => [`${problem.path} ${problem.message}`, problem]));
  if (each.size === 0) return;
  const all = [...each.values()];
  const text = problemText(given, all);
  throw all.every(({ missing }) => missing) ? new MissingError(text) : new UsageError(text);
}

/** Asked before anything starts. */
async function facedBy(proxy: ProxyChoice): Promise<RunFacts['world']['proxy']> {
  if (proxy.kind === 'embedded') return { kind: 'embedded', url: null, version: null };
  return { ...proxy, version: await toxiproxyVersion(proxy.url) };
}

function runFacts(request: RunRequest, warnings: string[], proxy: RunFacts['world']['proxy']): RunFacts {
  const { scenario, candidates, seeds, speed, virtual, reporters, argv } = request;
  const started = wallNow();
  const stamp = started.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  const [seed = 1] = seeds;
  return {
    schemaVersion: 1,
    id: `${stamp}-${scenario.name}-${unguessable(2)}`,
    status: 'running',
    version,
    scenario: scenario.name,
    story: scenario.story,
    seed,
    repeat: seeds.length,
    speed,
    virtual: virtual !== null,
    world: { engine: 'postgres', host: hostOf(request), version: null, proxy: virtual ? null : proxy },
    candidates: [...candidates],
    warnings,
    reporters: reporters.map(({ name }) => name),
    ledgers: [],
    startedAt: started.toISOString(),
    wallMs: 0,
    ratio: 0,
    argvRedacted: [...argv],
    replay: replay(request),
    node: process.version,
    os: `${type()} ${release()}`,
    cores: cpus().length,
  };
}

const hostOf = ({ virtual }: RunRequest): string => (virtual ? 'virtual' : 'embedded');

/** As a shell takes it. */
const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function replay({ given, config, candidates, seeds, speed, virtual, proxy }: RunRequest): string {
  const words = ['npx', `poolsoak@${version}`, 'run', given];
  if (config) words.push('--config', config);
  words.push('--candidates', candidates.join(','), '--seed', String(seeds[0] ?? 1));
  if (seeds.length > 1) words.push('--repeat', String(seeds.length));
  if (virtual) words.push('--virtual', virtual);
  if (proxy?.kind === 'toxiproxy') words.push('--proxy', `toxiproxy=${proxy.url}`);
  return [...words, '--speed', String(speed)].map(word).join(' ');
}

/** The run is over: how it ended, how long it took, and how much of the scenario's time that was. */
export function finish(
  facts: RunFacts,
  { soakedMs, wallMs: soakWallMs }: { soakedMs: number; wallMs: number },
  { stop }: RunEdges,
): RunFacts {
  const wallMs = wallNow().getTime() - Date.parse(facts.startedAt);
  const ratio = Math.round((100 * soakedMs) / Math.max(1, soakWallMs)) / 100;
  return { ...facts, status: stop.signal.aborted ? 'interrupted' : 'done', wallMs, ratio };
}
