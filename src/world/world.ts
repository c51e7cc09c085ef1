import type { Endpoint } from '../pools/pool.ts';

/** What a fault may need of a world, checked at plan time. */
export type Need = 'stop-server' | 'latency' | 'idle-kill' | 'idle-reset' | 'packet-loss';

export type StopHow = 'fast' | 'immediate' | 'kill';

export interface ServerControl {
  /** Resolves when the server process is gone. */
  stop(how: StopHow): Promise<void>;
  /** Resolves when it takes connections again; rejects with the log's tail when it does not. */
  start(): Promise<void>;
  /** To the server's main process: SIGSTOP, SIGCONT, SIGKILL. */
  signal(signal: NodeJS.Signals): void;
}

export interface LinkKill {
  toxic: string;
  link: number;
  clientPort: number;
  /** CLOCK_MONOTONIC ms, the harness's own clock. */
  at: number;
  how: 'drop' | 'fin' | 'rst';
  idleMs: number;
}

/** The fault proxy's one proxy in front of this world's server. */
export interface ProxyControl {
  addToxic(
    name: string,
    type: string,
    attributes: Record<string, unknown>,
    stream?: 'upstream' | 'downstream',
  ): Promise<void>;
  removeToxic(name: string): Promise<void>;
  /** Destroys every link, dropped ones too, with what they still hold. No new ones afterwards. */
  cut(): Promise<void>;
}

/** Whose packets are lost: of connections that exist when it begins, or all at the proxy's port. */
export interface PacketLoss {
  which: 'existing' | 'all';
  /** up: app to proxy. */
  direction: 'both' | 'up' | 'down';
}

/** The kernel's own firewall, on the proxy's port and nothing else. */
export interface FirewallControl {
  /** Packets are lost from now on until what it resolves with is called. Rejects where the kernel does not let us. */
  drop(loss: PacketLoss): Promise<() => Promise<void>>;
}

export interface SessionCounts {
  sessions: number;
  active: number;
  idle: number;
  idleInTransaction: number;
  /** Most since it was asked last, where somebody counts. */
  sessionsMax?: number;
}

export interface StoredRow {
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

/** The harness's own privileged connection past the proxy. Reconnects by itself after a restart. */
export interface SideDoor {
  createTables(trial: string): Promise<{ writes: string; keys: string }>;
  /** Sessions of the app's user. Rejects while the server is away. */
  sessions(): Promise<SessionCounts>;
  /** Ends every session of the app's user and waits until none is left: how many there were. Rejects when some stay. */
  endAppSessions(): Promise<number>;
  preparedTransactions(): Promise<number>;
  /** Every row of the write table, in (session, seq, row, attempt) order, from one snapshot. */
  readRows(trial: string, each: (row: StoredRow) => void): Promise<number>;
  countRows(trial: string): Promise<number>;
}

export interface ProbeAnswer {
  works: boolean;
  code: string | null;
}

export interface ServerLogLine {
  severity: string;
  sqlState: string | null;
  user: string | null;
  backend: number | null;
  text: string;
}

export interface WorldEvents {
  /** The trial cannot go on: it is stopped, and the run ends with this error. */
  failed(error: Error): void;
  serverLog(line: ServerLogLine): void;
  kill(kill: LinkKill): void;
  /** A part of ours died that nobody asked to: the run cannot go on. */
  lost(part: 'proxy' | 'server' | 'guardian', detail: string): void;
}

export interface World {
  engine: Endpoint['engine'];
  host: string;
  serverVersion: string;
  /** Of a proxy that is not ours. */
  proxyVersion?: string;
  endpoint: Endpoint;
  server: ServerControl;
  proxy: ProxyControl;
  firewall: FirewallControl;
  sideDoor: SideDoor;
  /** One new privileged connection through the proxy; works when it authenticates or is refused for lack of slots. */
  probeOutage(timeoutMs: number): Promise<ProbeAnswer>;
  /** SELECT 1 through the proxy on a connection kept for it (opened anew when it was lost). */
  probeMachine(timeoutMs: number): Promise<ProbeAnswer>;
  provides: ReadonlySet<Need>;
  /** What must not reach any file or screen. */
  secrets: readonly string[];
  close(): Promise<void>;
}

/** Something poolsoak needs is not on this machine; the message says what and how to get it. Exit code 69. */
export class MissingError extends Error {
  override name = 'MissingError';
  readonly exitCode = 69;
}
