/**
 * The numbers of one trial, as they stand in result.json. All times are ms of the trial's clock (real
 * time, unscaled by `--speed`); `null` means that there is nothing to say, never zero.
 */

/** How a user's submit ended, by SEMANTICS 1. */
export type Outcome = 'acked' | 'rejected' | 'failed' | 'indeterminate' | 'notSent';

/** Every submit falls in exactly one cell of the truth table; `split` is a part of torn. */
export const cells = [
  'fine',
  'lost',
  'duplicated',
  'torn',
  'phantom',
  'ghost',
  'unsaved',
  'refused',
] as const;
export type Cell = (typeof cells)[number];

/** Counts of submits. scheduled = the outcomes = the cells; late, open, crashed, spoilt, retried are flags beside. */
export interface Counts {
  scheduled: number;
  /** Handed to a worker; the rest is notSent. */
  submitted: number;
  notSent: number;
  acked: number;
  /** As planned; an unplanned rejection counts as failed. */
  rejected: number;
  failed: number;
  indeterminate: number;
  late: number;
  /** Not settled at the end of drain. */
  open: number;
  /** In flight when their worker died. */
  crashed: number;
  /** More than one attempt. */
  retried: number;
  fine: number;
  lost: number;
  duplicated: number;
  torn: number;
  /** Of torn: whole, but in more than one transaction. */
  split: number;
  phantom: number;
  ghost: number;
  unsaved: number;
  refused: number;
  /** Excused by an outage (SEMANTICS 4): what was bridged, what was not. `unsaved` here is part of `unsaved` above. */
  excused: { saved: number; unsaved: number };
  /** Spoilt by the machine: left out of latency, never out of safety. */
  spoilt: number;
  /** Unexcused unsaved that the machine spoilt: the best case is without them. */
  unsavedSpoilt: number;
}

/** Why writes ended in a bad cell, where the ledger shows it. */
export interface Cause {
  cell: Cell;
  cause: 'foreign-commit';
  count: number;
  lines: number[];
}

export interface Writes extends Counts {
  /** Rows of no planned submit, or with the wrong hash. Rows, not submits. */
  unexpected: number;
  lostBecause: { server: number; candidate: number };
  /** Attempts open around an outage, or on a connection an ambient fault killed. */
  exposed: number;
  /**
   * Beside zero lost: at most this share. `perWrite` null: something was lost, or fewer than 30 exposed.
   * `perRun` is for this one trial; for R trials of a candidate it is `boundPerRun(R)`.
   */
  bound: { perWrite: number | null; perRun: number | null };
  causes: Cause[];
}

/** A bounded histogram and what may be printed of it. */
export interface Distribution {
  n: number;
  /** Of n: known only to be longer than `censoredAtMs`. A percentile at or above that is a lower bound. */
  censored: number;
  censoredAtMs: number | null;
  /** null when fewer than 5 samples lie above it: then look at the maximum. */
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
  maxMs: number | null;
  /** HdrHistogram, V2, compressed, base64; unit 1 microsecond. null when empty. */
  hist: string | null;
}

export interface Latency extends Distribution {
  /** Acked within the user's patience, of n. */
  successRate: number | null;
}

/** Waits for a connection, one per attempt. `censored`: still waiting when the trial ended. */
export interface Acquire extends Distribution {
  /** Attempts that ended without a connection. */
  failed: number;
  /** Of failed: given up at the pool's own acquire timeout. */
  timeouts: number;
}

export interface PhaseMetrics {
  /** baseline, during:<fault>, recovery:<fault+fault>, drain. */
  name: string;
  faults: string[];
  fromMs: number;
  toMs: number;
  /** Submits by their scheduled time; one may belong to several phases. */
  writes: Counts;
  latency: Latency;
  acquire: Acquire;
  connections: { clientMax: number; serverMax: number | null };
  memory: { rssMaxBytes: number | null };
}

export type RecoveryState = 'recovered' | 'never' | 'censored' | 'unknown';

/** When it was well again. From `healedMs`: bad until `afterMs`, good from `byMs` on. */
export interface RecoveryBracket {
  state: RecoveryState;
  afterMs: number | null;
  byMs: number | null;
  /** Bad submits after the window that counted as recovered. */
  relapses: number;
}

export interface Recovery extends RecoveryBracket {
  /** Outages too close to each other to be told apart are one cluster. */
  faults: string[];
  injectMs: number;
  effectiveMs: number | null;
  healCalledMs: number | null;
  lastFailedMs: number | null;
  healedMs: number | null;
  outageMs: number | null;
  /** Both from `healedMs`. */
  firstSuccessMs: number | null;
  firstTryMs: number | null;
  /** null: no connection outlived the outage. */
  errorsPerOldConnection: number | null;
  oldConnections: number;
  /** Submits it was judged by. */
  submits: number;
  /** The same with the submits that the machine spoilt counted as good. */
  best: RecoveryBracket;
  /** Why the state is unknown. */
  unknownBecause: 'baseline' | 'not-healed' | null;
}

/** What "bad" is measured against. */
export interface Baseline {
  submits: number;
  bursts: number;
  p95Ms: number | null;
  /** A submit slower than this is bad. */
  latencyLimitMs: number | null;
  badRate: number | null;
  /** null: usable. */
  unusable: string | null;
}

export interface KillMetrics {
  fault: string;
  line: number;
  how: 'drop' | 'fin' | 'rst';
  link: number;
  clientPort: number;
  idleMs: number;
  /** null: no connection with that port was open then. */
  worker: number | null;
  conn: number | null;
  killedMs: number;
  /** Next borrow, or close. */
  discoveredMs: number | null;
  submitsHit: number;
  /** From that borrow until the submit settled or the connection was destroyed. */
  blockedMs: number | null;
  /** Submits of the same worker that waited for a connection meanwhile. */
  waitersDuring: number;
}

/** In order of precedence. */
export const exhaustionCauses = [
  'leak',
  'broken-timeout',
  'starved',
  'server-limit',
  'client-limit',
] as const;
export type ExhaustionCause = (typeof exhaustionCauses)[number];

export interface Episode {
  cause: ExhaustionCause;
  also: ExhaustionCause[];
  fromMs: number;
  toMs: number;
  /** Most submits waiting for a connection at once, all workers together. */
  waitingMax: number;
  /** Submits waiting or refused in it. */
  submits: number;
  /** Connections one pool may hold; null: no bound. */
  max: number | null;
  /** What shows leak, broken-timeout or starved comes only from submits that the machine spoilt. */
  spoilt: boolean;
  lines: number[];
}

export interface Connections {
  /** `open` events. */
  opened: number;
  closed: number;
  /** Most open at once, as the workers say. */
  clientMax: number;
  /** Most sessions at once, as the server says. */
  serverMax: number | null;
  /** Borrows whose first statement died of the connection or outlived patience. */
  poisoned: number;
  poisonedOutsideOutages: number;
  /** Of poisonedOutsideOutages: by submits that the machine spoilt. */
  poisonedSpoilt: number;
  firstRefusalMs: number | null;
  /** Connections of settled submits still out at the first refusal; null: nobody was refused. */
  leakedAtFirstRefusal: number | null;
  /** Planned rejections settled by then: the fuel of a leak. */
  rejectedAtFirstRefusal: number | null;
  /** From opening to open, outside faults. */
  connect: Distribution;
}

export interface Crash {
  worker: number;
  life: number;
  atMs: number;
  detail: string | null;
  /** Submits in flight then. */
  submits: number;
  line: number;
}

/** A cost that `--speed` did not scale, against the shortest scaled duration it races with. */
export interface Distortion {
  what: 'connect' | 'restart' | 'loop-delay' | 'reaper';
  costMs: number;
  against: string;
  againstMs: number;
  /** cost / against. Listed over 0.05; over 0.2 liveness is unknown. */
  share: number;
}

export interface Harness {
  sendLagP99Ms: number | null;
  /** The harness's own event loop. */
  loopDelayP99Ms: number | null;
  /** The workers' event loops. */
  workerLoopDelayP99Ms: number | null;
  /** A SELECT 1 of the harness's own through the proxy, outside faults. */
  probeP99Ms: number | null;
  /** Above this a delay spoils a submit. */
  spoiltOverMs: number;
  /** Share of scheduled submits that were spoilt. */
  spoiltShare: number;
  distortion: Distortion[];
}

export interface FinalRead {
  steps: { name: string; ok: boolean; detail: string | null; line: number }[];
  /** Rows were read to the end. */
  read: boolean;
  rows: number;
}

/** Reasons why a verdict may be unknown. `server-lost`: the database server died and no fault did it. */
export type UnknownReason =
  | 'machine'
  | 'compression'
  | 'baseline'
  | 'not-healed'
  | 'counts-differ'
  | 'interrupted'
  | 'guardian-lost'
  | 'proxy-lost'
  | 'server-lost'
  | 'no-ack'
  | 'no-data';

export interface TrialMetrics {
  writes: Writes;
  latency: Latency;
  /** Acked submits only, actual times, late ones included. */
  ackLatency: Distribution;
  sendLag: Distribution;
  acquire: Acquire;
  phases: PhaseMetrics[];
  baseline: Baseline;
  recovery: Recovery[];
  /** At most `killsMax` are listed. */
  kills: KillMetrics[];
  killTotals: { kills: number; joined: number; discovered: number; submitsHit: number };
  exhaustion: Episode[];
  refusals: { worker: number; log: number };
  connections: Connections;
  crashes: number;
  /** At most `crashesMax` are listed. */
  crashList: Crash[];
  crashLoops: number;
  protocolViolations: { count: number; details: string[] };
  memory: { rssMaxBytes: number | null };
  harness: Harness;
  finalRead: FinalRead;
  /** What happened to the trial as a whole: these make its verdict unknown, whatever the candidate did. */
  trouble: UnknownReason[];
  /** Class -> ledger lines (`i`): the first, the worst and the last example. */
  examples: Record<string, number[]>;
}
