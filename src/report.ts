import type { Judgement, Verdict } from './checks/check.ts';
import { worstOf } from './checks/verdict.ts';
import type { TrialMetrics, UnknownReason } from './metrics/types.ts';
import type { Plan } from './plan.ts';

/** What `run.json` holds: how the run was made. Wall-clock facts stand here and nowhere else. */
export interface RunFacts {
  schemaVersion: 1;
  id: string;
  status: 'running' | 'done' | 'interrupted';
  version: string;
  scenario: string;
  story: string;
  seed: number;
  repeat: number;
  speed: number;
  virtual: boolean;
  world: {
    engine: string;
    host: string;
    version: string | null;
    /** null: there is none, in virtual time. */
    proxy: { kind: 'embedded' | 'toxiproxy'; url: string | null; version: string | null } | null;
  };
  candidates: string[];
  warnings: string[];
  reporters: string[];
  ledgers: string[];
  startedAt: string;
  wallMs: number;
  /** Seconds of the scenario's time per real second, from the first submit of each trial to its last answer. */
  ratio: number;
  argvRedacted: string[];
  /** The command that runs the same again. */
  replay: string;
  node: string;
  os: string;
  cores: number;
}

/** What two trials must share to be compared. */
export interface TrialKey {
  scenario: string;
  scenarioSha256: string;
  candidate: string;
  candidateSha256: string;
  engine: string;
  host: string;
  serverVersion: string;
  speed: number;
  virtual: boolean;
  /** Of a virtual trial: what lay between app and server. */
  path: Plan['path'];
  /** With its version, where it is not ours: "toxiproxy 2.12.0". */
  proxy: string;
  seed: number;
}

export interface TrialReport extends TrialMetrics {
  id: string;
  key: TrialKey;
  candidate: string;
  candidateSpec: { pool: string; versions: Record<string, string>; settings: unknown; app: unknown };
  seed: number;
  verdict: Verdict;
  expected: { asExpected: boolean; because: string } | null;
  unknownBecause: UnknownReason[];
  ledger: string;
  ledgerSha256: string;
  checks: Judgement[];
}

/** `result.json`. Keys are added, never renamed. */
export interface Report {
  schemaVersion: 1;
  run: Pick<RunFacts, 'id' | 'status' | 'version' | 'scenario' | 'seed' | 'speed' | 'virtual' | 'world'> & {
    verdict: Verdict;
    story: string;
    warnings: string[];
    replay: string;
  };
  trials: TrialReport[];
}

export interface JudgedTrial {
  plan: Plan;
  versions: Record<string, string>;
  metrics: TrialMetrics;
  verdict: Verdict;
  checks: Judgement[];
  unknownBecause: UnknownReason[];
  ledger: string;
  ledgerSha256: string;
}

export function trialReport(judged: JudgedTrial): TrialReport {
  const { plan, versions, metrics, verdict, checks, unknownBecause, ledger, ledgerSha256 } = judged;
  const { server = 'unknown', toxiproxy, ...clientVersions } = versions;
  const { scenario, scenarioSha256, candidate, candidateSha256, engine, host, speed, virtual, path, seed } =
    plan;
  const { pool, written, app } = plan.candidateSpec;
  return {
    id: plan.trial,
    key: {
      scenario,
      scenarioSha256,
      candidate,
      candidateSha256,
      engine,
      host,
      serverVersion: server,
      speed,
      virtual,
      path,
      proxy: toxiproxy ? `${plan.proxy} ${toxiproxy}` : plan.proxy,
      seed,
    },
    candidate,
    candidateSpec: { pool, versions: clientVersions, settings: written.settings, app: written.app ?? app },
    seed,
    verdict,
    expected: expected(plan, judged),
    unknownBecause,
    ledger,
    ledgerSha256,
    ...metrics,
    checks,
  };
}

/** Whether the trial ended as the scenario's author said: verdict, every check, and the causes. */
export function expected(
  { expect }: Plan,
  { verdict, checks, metrics }: Pick<JudgedTrial, 'verdict' | 'checks' | 'metrics'>,
): TrialReport['expected'] {
  if (!expect) return null;
  const odd = checks.filter(({ name, verdict: seen }) => seen !== (expect.checks[name] ?? 'pass'));
  const seenCauses = new Set<string>(metrics.exhaustion.flatMap(({ cause, also }) => [cause, ...also]));
  const missing = expect.causes.filter(cause => !seenCauses.has(cause));
  if (verdict === expect.verdict && odd.length === 0 && missing.length === 0)
    return { asExpected: true, because: expect.because };
  const because = [
    ...(verdict === expect.verdict ? [] : [`verdict ${verdict}, expected ${expect.verdict}`]),
    ...odd.map(({ name, verdict: seen }) => `${name} ${seen}, expected ${expect.checks[name] ?? 'pass'}`),
    ...missing.map(cause => `no ${cause} seen`),
  ];
  return { asExpected: false, because: because.join('; ') };
}

export function buildReport(run: RunFacts, trials: TrialReport[]): Report {
  const { id, status, version, scenario, seed, speed, virtual, world, story, warnings, replay } = run;
  // What was not run cannot have passed.
  const cutShort = status === 'interrupted' ? (['unknown'] as const) : [];
  const verdict = worstOf([...trials.map(trial => trial.verdict), ...cutShort]);
  return {
    schemaVersion: 1,
    run: {
      id,
      verdict,
      status,
      version,
      scenario,
      seed,
      speed,
      virtual,
      world: { ...world, version: trials[0]?.key.serverVersion ?? null },
      story,
      warnings,
      replay,
    },
    trials,
  };
}
