import type { PostgresModel } from '../model.ts';
import type { SqlError } from './errors.ts';
import type { SqlCache } from './sql.ts';
import type { Store } from './store.ts';
import type { Wire } from './wire.ts';

export interface User {
  name: string;
  password: string;
  superuser: boolean;
}

/** Something a process of the server will do; a stopped server does it when it goes on. */
export interface Step {
  readonly atMs: number;
  cancel(): void;
}

/** What a session needs of its server. */
export interface Host {
  readonly nowMs: number;
  readonly paused: boolean;
  readonly model: PostgresModel;
  readonly deadlockTimeoutMs: number;
  readonly store: Store;
  readonly sql: SqlCache;
  readonly settings: ReadonlyMap<string, string>;
  readonly serverVersion: string;
  /** A cost of the model, ms. */
  draw(range: { min: number; max: number }): number;
  later(atMs: number, act: () => void): Step;
  /** Once the server, stopped by a signal, goes on. */
  whenResumed(act: () => void): void;
  userOf(name: string): User | null;
  /** An entry in the server's log. */
  log(severity: string, sqlState: string | null, process: Process, text: string): void;
  unknownSql(text: string): void;
  /** Takes a slot for a session whose client has said who it is: the refusal, or null. */
  takeSlot(process: Process): SqlError | null;
  /** Whether this session may keep its slot, now that its user is known to be who it says. */
  mayKeepSlot(process: Process): SqlError | null;
  /** CancelRequest. */
  cancel(pid: number, secret: number): void;
  /** Its process is gone, its slot free. */
  exited(process: Process): void;
}

/** What a session needs of the process it runs in. */
export interface Process {
  readonly host: Host;
  readonly wire: Wire;
  readonly pid: number;
  readonly secret: number;
  readonly user: User | null;
  /** The user it says it is, as the log names it. */
  userName: string | null;
  /** It counts against max_connections. */
  hasSlot: boolean;
  /** Its own time: what it was given until now is done by then. Never behind the loop's while it works. */
  cursorMs: number;
  /** Until then a commit's answer is on its way to the client, and only a crash can stop it. */
  answeringUntilMs: number;
  readonly isGone: boolean;
  /** Goes on with what the client has sent, until something must be waited for. */
  drain(): void;
  /** It waits for the client's next message from `cursorMs` on. */
  ready(): void;
  /** An answer was sent: a client that is no more is missed now. */
  noticeLoss(): void;
  /** Tells the client, and the log, and leaves. */
  fatal(error: SqlError): void;
  exit(): void;
}
