import { durationMs } from './duration.ts';
import type { Need } from './faults/fault.ts';
import { type LackOf, needProblems, type PlannedFault, planFaults } from './plan-faults.ts';
import type { AppHabits, PoolAdapter } from './pools/pool.ts';
import type { Problem } from './problems.ts';
import { sha256 } from './random.ts';
import { habitFloors, scaleCheck, scaleSettings, speedProblems } from './scaling.ts';
import { type Candidate, type Registries, runsOn, type Scenario } from './scenario.ts';

export type { PlannedFault };

export interface PlannedWorkload {
  sessions: number;
  everyMs: number;
  /** 0.2: every gap is 80 % to 120 % of `everyMs`. */
  jitter: number;
  rows: number;
  /** Share of submits whose last row is invalid on purpose. */
  rejected: number;
  bursts: { atMs: number; overMs: number; submits: number }[];
  breaks: { fromMs: number; toMs: number; returnOverMs: number }[];
}

export interface PlannedCheck {
  id: string;
  /** Limits with durations already scaled to the trial's ms. */
  settings: Record<string, unknown>;
}

export interface Expect {
  verdict: 'pass' | 'fail' | 'unknown';
  /** Every check that does not pass, and how it ends. All others pass. */
  checks: Record<string, 'pass' | 'fail' | 'unknown'>;
  /** Why, for people. */
  because: string;
  /** Exhaustion causes that must be seen. */
  causes: string[];
}

/** Everything a trial will do, with every derived value. First line of its ledger. Real ms throughout. */
export interface Plan {
  trial: string;
  scenario: string;
  scenarioSha256: string;
  candidate: string;
  candidateSha256: string;
  engine: 'postgres' | 'mariadb' | 'mysql';
  host: string;
  seed: number;
  speed: number;
  virtual: boolean;
  /** What lies between app and server; real runs have a proxy in userspace. */
  path: 'userspace' | 'packet';
  /** The fault proxy: a process of ours, a stock Toxiproxy, or neither. */
  proxy: 'embedded' | 'toxiproxy' | 'virtual';
  /** What its faults need of the world. */
  needs: Need[];
  workers: number;
  durationMs: number;
  patienceMs: number;
  /** Longest wait for open submits after the last arrival. */
  drainMs: number;
  /** One scaled second: grace, episode ends, exposure margin. */
  secondMs: number;
  respawnMs: number;
  respawnMaxMs: number;
  sampleMs: number;
  /** Open submits a worker may have before further ones are not sent. */
  backlogMax: number;
  durability: 'none-lost' | 'may-lose';
  workload: PlannedWorkload;
  /** Benchmarks alone: as many in flight, as many in all; scheduled = sent. */
  arrivals: { inFlight: number; count: number; forMs: number | null } | null;
  server: { appSlots: number; settings: Record<string, string> };
  faults: PlannedFault[];
  candidateSpec: {
    pool: string;
    /** As written in the scenario, for people. */
    written: Record<string, unknown>;
    /** As given to the pool. */
    settings: Record<string, unknown>;
    app: AppHabits;
    max: number | null;
    acquireTimeoutMs: number | null;
    reaperMs: number | null;
  };
  checks: PlannedCheck[];
  expect: Expect | null;
}

export interface PlanRequest {
  scenario: Scenario;
  candidate: string;
  seed: number;
  speed: number;
  host: string;
  engine: Plan['engine'];
  /** null: real. */
  path: Plan['path'] | null;
  /** Of a real trial; embedded unless said. */
  proxy?: 'embedded' | 'toxiproxy';
  /** Why the world will not have it; nothing lacks unless said. */
  lackOf?: LackOf;
  /** What makes a real trial's id its own; the version in the virtual world, so that equal seeds give equal ids. */
  nonce: string;
}

/** Scenario + candidate + seed -> everything a trial will do. Pure: equal requests give equal plans. */
export function planTrial(request: PlanRequest, registries: Registries): { plan: Plan; problems: Problem[] } {
  const { scenario, candidate: name, seed, speed, engine, host, path: virtual, nonce } = request;
  const candidate = scenario.candidates[name]!;
  const adapter = registries.pools[candidate.pool]!;
  const scaled = (text: string): number => durationMs(text) / speed;
  const patienceMs = scaled(scenario.patience);
  const { candidates: _candidates, expect: _expect, ...story } = scenario;
  const written = { pool: candidate.pool, settings: candidate.settings, app: candidate.app };
  const settings = scaleSettings(adapter, candidate.settings, speed);
  const durationTotalMs = scaled(scenario.duration);
  const uses = planFaults(scenario, registries.faults, speed, durationTotalMs);
  const plan: Plan = {
    trial: sha256(JSON.stringify([scenario.name, name, engine, seed, speed, virtual, nonce])).slice(0, 12),
    scenario: scenario.name,
    scenarioSha256: sha256(JSON.stringify(story)),
    candidate: name,
    candidateSha256: sha256(JSON.stringify(written)),
    engine,
    host,
    seed,
    speed,
    virtual: virtual !== null,
    path: virtual ?? 'userspace',
    proxy: virtual ? 'virtual' : (request.proxy ?? 'embedded'),
    needs: [...new Set(uses.flatMap(({ needs }) => needs))].sort(),
    workers: scenario.workers,
    durationMs: durationTotalMs,
    patienceMs,
    drainMs: scenario.drain ? scaled(scenario.drain) : patienceMs + 20_000 / speed,
    secondMs: 1000 / speed,
    respawnMs: 1000 / speed,
    respawnMaxMs: 15_000 / speed,
    sampleMs: virtual ? Math.max(100, 30_000 / speed) : 100,
    backlogMax: 10_000,
    durability: scenario.durability,
    workload: planWorkload(scenario, scaled),
    arrivals: null,
    server: scenario.server,
    faults: uses.map(({ planned }) => planned),
    candidateSpec: {
      pool: candidate.pool,
      written,
      settings,
      app: planHabits(candidate, scaled, patienceMs),
      max: adapter.max(settings),
      acquireTimeoutMs: adapter.acquireTimeoutMs(settings),
      reaperMs: adapter.reaperMs?.(settings) ?? null,
    },
    checks: planChecks(scenario, registries, speed),
    expect: scenario.expect[name] ?? null,
  };
  const path = `candidates.${name}`;
  return {
    plan,
    problems: [
      ...engineProblems(path, candidate, adapter, engine),
      ...uses.flatMap(use => needProblems(use, request.lackOf)),
      ...virtualProblems(path, adapter, virtual !== null),
      ...speedProblems(`${path}.settings`, adapter, candidate.settings, speed),
      ...habitFloors(`${path}.app`, candidate, engine, speed),
    ],
  };
}

function virtualProblems(path: string, { name, notVirtual }: PoolAdapter, virtual: boolean): Problem[] {
  if (!virtual || notVirtual === undefined) return [];
  const message = `has pool ${name}, which cannot run with --virtual: ${notVirtual}; leave it out with --candidates, or run without --virtual`;
  return [{ path, message }];
}

function engineProblems(
  path: string,
  candidate: Candidate,
  adapter: PoolAdapter,
  engine: Plan['engine'],
): Problem[] {
  if (runsOn(engine, candidate, adapter)) return [];
  const { name, engines } = adapter;
  const own = candidate.engine
    ? `is for ${candidate.engine}`
    : `has pool ${name}, which is for ${engines.join(', ')}`;
  return [{ path, message: `${own}; this run's engine is ${engine}; leave it out with --candidates` }];
}

function planWorkload(scenario: Scenario, scaled: (text: string) => number): PlannedWorkload {
  return {
    sessions: scenario.sessions.count,
    everyMs: scaled(scenario.sessions.every),
    jitter: scenario.sessions.jitter,
    rows: scenario.rows,
    rejected: scenario.rejected,
    bursts: scenario.bursts.map(({ at, over, submits }) => ({
      atMs: scaled(at),
      overMs: scaled(over),
      submits,
    })),
    breaks: scenario.breaks.map(({ from, to, returnOver }) => ({
      fromMs: scaled(from),
      toMs: scaled(to),
      returnOverMs: scaled(returnOver),
    })),
  };
}

function planHabits({ app }: Candidate, scaled: (text: string) => number, patienceMs: number): AppHabits {
  const { retry } = app;
  return {
    transaction: app.transaction,
    release: app.release,
    onPoolError: app.onPoolError,
    onClientError: app.onClientError,
    statementTimeoutMs: app.statementTimeout ? Math.max(1, Math.round(scaled(app.statementTimeout))) : null,
    retry: retry
      ? {
          max: retry.max,
          backoffMs: scaled(retry.backoff),
          on: retry.on,
          idempotency: retry.idempotency,
          lockTimeoutMs: scaled(retry.lockTimeout),
        }
      : null,
    cancelOnPatienceMs: app.cancelOnPatience ? patienceMs : null,
  };
}

/** Defaults first, the scenario's own over them; one of the same id replaces the default. */
function planChecks(scenario: Scenario, { checks }: Registries, speed: number): PlannedCheck[] {
  const own = scenario.checks.map(({ check: id, ...settings }) => ({ id, settings }));
  const defaults = Object.values(checks)
    .filter(check => check.byDefault && !own.some(({ id }) => id === check.id))
    .map(({ id }) => ({ id, settings: {} }));
  return [...defaults, ...own].map(({ id, settings }) => ({
    id,
    settings: scaleCheck(checks[id]!, settings, speed),
  }));
}

/** What the plan would do that its author may not have meant. */
export function planWarnings({ candidate, candidateSpec, workers, server, expect }: Plan): string[] {
  const { max } = candidateSpec;
  // Who says how it ends has thought about it.
  if (expect !== null || max === null || max * workers <= server.appSlots) return [];
  return [
    `candidate ${candidate}: ${workers} workers x max ${max} = ${workers * max} connections, ` +
      `but the server has ${server.appSlots} slots for the app: it can run out of them`,
  ];
}
