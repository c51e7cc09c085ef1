import type { AppHabits } from './pools/pool.ts';

/** A fault on the timeline, in ms of the trial's clock. */
export interface PlannedFault {
  /** Unique in the plan: `restart-database-1`. */
  id: string;
  name: string;
  kind: 'outage' | 'ambient';
  atMs: number;
  /** When heal is called. */
  untilMs: number;
  settings: Record<string, unknown>;
  disturbsProbe: boolean;
}

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
