/**
 * What happened in a trial, one record a line. Facts only: nothing here is a judgement.
 * Every time is in milliseconds of the trial's clock, from its start, unscaled by `--speed`.
 */
export const schemaVersion = 1;

export type Step = 'acquire' | 'begin' | 'write' | 'commit';

/** What the app told its user. */
export type Told = 'acked' | 'rejected' | 'failed' | 'indeterminate';

export interface ErrorFacts {
  /** The driver's own code (`ECONNRESET`, ...), or null. */
  code: string | null;
  /** SQLSTATE, only when a server sent it. */
  sqlState: string | null;
  /** MySQL / MariaDB error number, only when a server sent it. */
  errno: number | null;
  /** For people. Never used in judging. */
  message: string;
}

/** One try at a submit: from asking the pool for a connection to the end of the transaction. */
export interface Attempt {
  n: number;
  /** The connection it ran on, an id unique within the worker's life; null before one was acquired. */
  conn: number | null;
  startedAt: number;
  acquiredAt: number | null;
  /**
   * When the connection was given back; null: not yet. A worker that says this tells of no borrows and
   * releases by `conn`: they would be half of all it says. One that leaves it out may tell of them so.
   */
  releasedAt?: number | null;
  /** COMMIT, or the write in autocommit, was handed to the driver. */
  commitSent: boolean;
  /** The server answered the statement the attempt ended on. */
  answered: boolean;
  /** Command tag of the answered COMMIT. */
  tag: string | null;
  step: Step;
  /** The worker's own word; stored, never used where SEMANTICS derives the outcome. */
  outcome: Told | null;
  /** null: still open when the worker was closed. */
  endedAt: number | null;
  error: ErrorFacts | null;
}

export interface Header {
  k: 'header';
  schemaVersion: number;
  trial: string;
  /** The plan, whole: what the judge needs to know besides what happened. */
  plan: unknown;
  versions: Record<string, string>;
}
/** A submit fell due. `sent` false: the user saw an error at once (`why`). */
export interface Submit {
  k: 'submit';
  id: number;
  worker: number;
  life: number;
  session: number;
  seq: number;
  rows: number;
  valid: boolean;
  scheduledMs: number;
  sent: boolean;
  why: 'worker-down' | 'backlog' | null;
}
/** The app's last word on a submit. `open`: forced out of it when the worker was closed. */
export interface Settled {
  k: 'settled';
  id: number;
  worker: number;
  life: number;
  atMs: number;
  outcome: Told;
  open: boolean;
  attempts: Attempt[];
  releaseError: ErrorFacts | null;
}
export type ConnEvent = 'opening' | 'open' | 'borrow' | 'release' | 'close';
export interface Conn {
  k: 'conn';
  worker: number;
  life: number;
  conn: number;
  ev: ConnEvent;
  atMs: number;
  /** The client's TCP port: joins the connection to the proxy's. */
  localPort: number | null;
  /** The server's process or connection id. */
  backend: number | null;
  why: string | null;
}
export interface GaugeFacts {
  total: number;
  idle: number;
  acquired: number;
  waiting: number;
  max: number | null;
  since: { waitingMax: number; acquiredMax: number; oldestWaitMs: number };
  counters: {
    acquires: number;
    acquireTimeouts: number;
    opened: number;
    closed: number;
    destroyed: number;
    leases: number;
  };
  loopDelayP99Ms: number | null;
  rssBytes: number | null;
  cpuMs: number | null;
}
export interface Gauges extends GaugeFacts {
  k: 'gauges';
  worker: number;
  life: number;
  atMs: number;
}
export interface Worker {
  k: 'worker';
  worker: number;
  life: number;
  ev:
    | 'spawn'
    | 'ready'
    | 'failed'
    | 'exit'
    | 'stalled'
    | 'crash-loop'
    | 'closing'
    | 'closed'
    | 'close-hung'
    | 'protocol'
    | 'output';
  /** exit: without a `close` before it. */
  crash: boolean;
  detail: string | null;
}
export interface Fault {
  k: 'fault';
  /** Unique in the plan, e.g. `restart-database-1`. */
  fault: string;
  ev: 'inject' | 'effective' | 'heal-called' | 'last-failed' | 'healed' | 'not-healed' | 'error';
  atMs: number;
  detail: string | null;
}
/** `outage`: does the service answer during an outage? `machine`: how long does a SELECT 1 of our own take? */
export interface Probe {
  k: 'probe';
  what: 'outage' | 'machine';
  fault: string | null;
  works: boolean;
  tookMs: number;
  code: string | null;
}
/** The proxy ended a connection for an ambient fault. */
export interface Kill {
  k: 'kill';
  fault: string;
  clientPort: number;
  /** The proxy's id of the connection. */
  link: number;
  atMs: number;
  how: 'drop' | 'fin' | 'rst';
  idleMs: number;
}
/** Sessions of the app's user at the server, seen through the side door. */
export interface Sample {
  k: 'sample';
  sessions: number;
  active: number;
  idle: number;
  idleInTransaction: number;
  /** Most since the last sample, where the server itself counts. */
  sessionsMax?: number;
  harnessLoopDelayMs: number | null;
}
export interface ServerLog {
  k: 'serverLog';
  severity: string;
  sqlState: string | null;
  user: string | null;
  backend: number | null;
  text: string;
}
export interface Note {
  k: 'note';
  /** phase edges and steps of the final read, or something worth keeping. */
  what: 'phase' | 'final-read' | 'trouble' | 'control';
  name: string;
  ok: boolean;
  detail: string | null;
}
/** A row of the write table as it was read at the end. */
export interface Row {
  k: 'row';
  trial: string;
  session: number;
  seq: number;
  attempt: number;
  row: number;
  of: number;
  sha: string;
  valid: boolean;
  xid: string;
}
export interface End {
  k: 'end';
  /** Lines of the ledger, this one included. */
  lines: number;
  /** false: the run was cut short, and said so. */
  complete: boolean;
}
export type Fact =
  | Header
  | Submit
  | Settled
  | Conn
  | Gauges
  | Worker
  | Fault
  | Probe
  | Kill
  | Sample
  | ServerLog
  | Note
  | Row
  | End;
/** A fact with its line number (from 0) and the time it was written. */
export type LedgerRecord = Fact & { i: number; t: number };
