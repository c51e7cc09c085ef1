import type { ServerEnd, ServerHears } from '../net/contract.ts';
import { FatalError, type SqlError, terminated } from './errors.ts';
import type { Host, Process, Step, User } from './host.ts';
import { Login } from './login.ts';
import { report } from './messages.ts';
import { Session } from './session.ts';
import { Wire } from './wire.ts';

/** One process of the server: a client's connection from accept to exit. */

/** What it does at the moment; `gone` covers its exit. */
export type Phase = 'login' | 'session' | 'gone';

/** As a row of pg_stat_activity. */
export type Activity = 'starting' | 'active' | 'idle' | 'idle in transaction';

const authenticationLimitMs = 60_000;
const connectionFailure = '08006';

export class Backend implements ServerHears, Process {
  readonly pid: number;
  readonly secret: number;
  readonly wire: Wire;
  readonly host: Host;
  phase: Phase = 'login';
  user: User | null = null;
  userName: string | null = null;
  hasSlot = false;
  session: Session | null = null;
  cursorMs = 0;
  answeringUntilMs = 0;
  #login: Login;
  #loginLimit: Step | null;
  #idle: Step | null = null;
  #idleSinceMs = 0;
  /** The client said goodbye, or vanished. */
  #lost: 'fin' | 'rst' | null = null;
  /** It ends as soon as the commit is answered that it is at. */
  #dying: FatalError | null = null;

  constructor(host: Host, end: ServerEnd, pid: number, secret: number) {
    this.host = host;
    this.pid = pid;
    this.secret = secret;
    this.wire = new Wire(end);
    this.#login = new Login(this, {
      authenticated: user => {
        this.user = user;
      },
      done: settings => this.#begin(new Session(this, settings)),
    });
    end.setKeepAlive(true);
    this.cursorMs = host.nowMs + host.draw(host.model.forkMs);
    this.#loginLimit = host.later(host.nowMs + authenticationLimitMs, () => this.#loginLate());
    host.later(this.cursorMs, () => this.drain());
  }

  #loginLate(): void {
    if (this.phase !== 'login') return;
    if (this.userName === null) this.exit();
    else this.fatal(new FatalError('57014', 'canceling authentication due to timeout'));
  }

  /** Logged in. */
  #begin(session: Session): void {
    this.phase = 'session';
    this.session = session;
    this.#loginLimit?.cancel();
    this.#loginLimit = null;
    this.ready();
    this.drain();
  }

  // The client.

  data(chunk: Buffer): void {
    if (this.phase === 'gone') return;
    this.wire.push(chunk);
    this.#work();
  }

  end(): void {
    this.#lose('fin');
  }

  reset(): void {
    this.#lose('rst');
  }

  #lose(how: 'fin' | 'rst'): void {
    if (this.phase === 'gone' || this.#lost === 'rst') return;
    this.#lost = how;
    this.#work();
  }

  #work(): void {
    if (this.host.paused) this.host.whenResumed(() => this.drain());
    else this.drain();
  }

  get isGone(): boolean {
    return this.phase === 'gone';
  }

  get isWaiting(): boolean {
    return this.session?.isWaiting ?? this.#login.isWaiting;
  }

  /** Goes on with what the client has sent, until something must be waited for. */
  drain(): void {
    const now = this.host.nowMs;
    if (this.isGone || this.isWaiting) return;
    if (this.phase === 'login' && now < this.cursorMs) return;
    if (this.cursorMs < now) this.cursorMs = now;
    try {
      while (!this.isGone && !this.isWaiting && !this.#endsNow() && this.#step());
    } catch (error) {
      if (!(error instanceof FatalError)) throw error;
      this.fatal(error);
    }
    this.wire.rest();
    if (this.#lost && !this.isGone && !this.isWaiting) this.#hearLoss();
  }

  #step(): boolean {
    if (!this.session) return this.#login.step();
    if (!this.wire.next()) return false;
    this.session.message();
    return true;
  }

  #endsNow(): boolean {
    if (this.#dying) this.fatal(this.#dying);
    return this.#dying !== null;
  }

  /** Reading, it finds the connection at its end. */
  #hearLoss(): void {
    const inTransaction = this.session?.block.isOpen;
    if (this.#lost === 'rst')
      this.logConnection('could not receive data from client: Connection reset by peer');
    if (inTransaction) this.logConnection('unexpected EOF on client connection with an open transaction');
    this.exit();
  }

  logConnection(text: string): void {
    this.host.log('LOG', connectionFailure, this, text);
  }

  /** A client that reset while it worked is missed when the answer is sent. */
  noticeLoss(): void {
    if (this.#lost !== 'rst') return;
    this.logConnection('could not send data to client: Connection reset by peer');
    this.host.log('FATAL', connectionFailure, this, 'connection to client lost');
    this.exit();
  }

  // Idleness.

  /** It waits for the client's next message from `cursorMs` on. */
  ready(): void {
    this.#idleSinceMs = this.cursorMs;
    const limitMs = this.#idleLimitMs();
    if (limitMs > 0) this.#watchIdle(this.cursorMs + limitMs);
  }

  #idleLimitMs(): number {
    const { settings, block } = this.session!;
    return block.status === 'I' ? settings.idleSessionTimeoutMs : settings.idleInTransactionTimeoutMs;
  }

  /** One step for many idle moments: it looks again when it is early. */
  #watchIdle(atMs: number): void {
    if (this.#idle) {
      if (this.#idle.atMs <= atMs) return;
      this.#idle.cancel();
    }
    this.#idle = this.host.later(atMs, () => {
      this.#idle = null;
      this.#idleLate();
    });
  }

  #idleLate(): void {
    if (this.phase !== 'session' || this.isWaiting) return;
    const limitMs = this.#idleLimitMs();
    const dueMs = this.#idleSinceMs + limitMs;
    if (limitMs === 0) return;
    if (this.host.nowMs < dueMs) return this.#watchIdle(dueMs);
    this.cursorMs = Math.max(this.cursorMs, this.host.nowMs);
    const inTransaction = this.session!.block.status !== 'I';
    this.fatal(
      inTransaction
        ? new FatalError('25P03', 'terminating connection due to idle-in-transaction timeout')
        : new FatalError('57P05', 'terminating connection due to idle-session timeout'),
    );
  }

  get activity(): Activity {
    if (!this.session) return 'starting';
    if (this.isWaiting || this.cursorMs > this.host.nowMs) return 'active';
    return this.session.block.status === 'I' ? 'idle' : 'idle in transaction';
  }

  // Its end.

  /** Tells the client, and the log, and leaves. */
  fatal(error: SqlError): void {
    if (this.phase === 'gone') return;
    this.host.log('FATAL', error.sqlState, this, error.message);
    this.wire.put(report('FATAL', error.sqlState, error.message, error.fields));
    this.wire.flush(this.cursorMs);
    this.exit();
  }

  /** SIGTERM: pg_terminate_backend, and `fast` shutdown. A commit that has begun is answered first. */
  terminate(): void {
    if (this.phase === 'gone') return;
    // A client that has not logged in yet is told nothing.
    if (this.phase === 'login') return this.exit();
    if (this.session!.isCommitting) this.#dying = terminated();
    else {
      if (this.host.nowMs >= this.answeringUntilMs) {
        // The statement it is at is never answered.
        if (this.cursorMs > this.host.nowMs) this.wire.discard();
        this.cursorMs = this.host.nowMs;
      }
      this.fatal(terminated());
    }
  }

  /** The postmaster is no more. Whoever waits for the client says so; whoever waits for anything else just goes. */
  orphan(): void {
    if (this.phase === 'gone') return;
    const error = new FatalError('57P01', 'terminating connection due to unexpected postmaster exit');
    if (this.session?.isCommitting) this.#dying = error;
    else if (this.session?.isWaiting) this.exit();
    else {
      this.cursorMs = Math.max(this.cursorMs, this.host.nowMs);
      this.fatal(error);
    }
  }

  /** SIGQUIT: gone at once, with a warning, whatever it was at. */
  quit(sqlState: string, text: string): void {
    if (this.phase === 'gone') return;
    this.wire.discard();
    this.cursorMs = this.host.nowMs;
    this.session?.kill();
    if (this.phase === 'session') {
      this.wire.put(report('WARNING', sqlState, text));
      this.wire.flush(this.cursorMs);
    }
    this.#leave(0);
  }

  /** SIGKILL. */
  die(): void {
    if (this.phase === 'gone') return;
    this.wire.discard();
    this.session?.kill();
    this.#leave(0);
  }

  exit(): void {
    if (this.phase !== 'gone') this.#leave(this.host.model.exitMs);
  }

  #leave(exitMs: number): void {
    this.phase = 'gone';
    // What comes now nobody reads: the kernel resets the connection for it when the process is gone.
    this.wire.end.pause();
    this.#loginLimit?.cancel();
    this.#idle?.cancel();
    this.#login.leave();
    this.session?.leave();
    this.host.later(Math.max(this.cursorMs, this.host.nowMs) + exitMs, () => {
      this.wire.end.close();
      this.host.exited(this);
    });
  }
}
