import type { Random } from '../../random.ts';
import type { ServerLogLine, SessionCounts, StopHow, StoredRow } from '../../world/world.ts';
import type { Actor, VirtualLoop } from '../loop.ts';
import type { PostgresModel } from '../model.ts';
import type { Accept, ServerEnd, ServerHears } from '../net/contract.ts';
import { Backend } from './backend.ts';
import { FatalError, type SqlError } from './errors.ts';
import type { Host, Process, User } from './host.ts';
import { serverSettings, settingMs } from './known-settings.ts';
import { ServerTime } from './server-time.ts';
import { endSessions, Sessions } from './sessions.ts';
import { mayKeepSlot, slotsFor, takeSlot } from './slots.ts';
import { SqlCache } from './sql.ts';
import { refusals, type State } from './state.ts';
import { Store } from './store.ts';

/** A simulated PostgreSQL 18: its postmaster, its slots and its life. */

export interface SimPostgresOptions {
  loop: VirtualLoop;
  /** On whose behalf it acts. */
  actor: Actor;
  model: PostgresModel;
  random: Random;
  /** Opens its port. Closed, connections are refused. */
  listen(accept: Accept): { close(): void };
  /** Connections the application can have. */
  appSlots: number;
  /** Settings of the server, by its own names. */
  settings: Record<string, string>;
  users: User[];
  serverLog(line: ServerLogLine): void;
  /** SQL it does not know: the run means nothing from here on. */
  unknownSql(text: string): void;
}

const firstPid = 1_000;
const version = '18.4';

const backendCrashed = 'terminating connection because of crash of another server process';

export class SimPostgres {
  readonly store: Store;
  #options: SimPostgresOptions;
  #settings: ReadonlyMap<string, string>;
  #host: Host;
  #state: State = 'down';
  #time: ServerTime;
  #backends = new Set<Backend>();
  #sessions = new Sessions(this.#backends);
  /** max_connections */
  readonly #slots: number;
  #pid = firstPid;
  #port: { close(): void } | null = null;
  /** It did not end by a clean shutdown: redo at its next start. */
  #crashed = false;
  #cost: Random;
  #loss: Random;
  #secrets: Random;
  /** When nobody flushed its log any more, should it not have been flushed. */
  #diedAtMs = 0;
  /** Stops and starts that an event has overtaken do nothing. */
  #era = 0;
  #whenEmpty: (() => void) | null = null;
  #whenDown: (() => void)[] = [];

  constructor(options: SimPostgresOptions) {
    const { model, random, loop } = options;
    this.#options = options;
    this.#time = new ServerTime(loop, options.actor);
    this.#slots = slotsFor(options.appSlots);
    this.#cost = random.fork('cost');
    this.#loss = random.fork('loss');
    this.#secrets = random.fork('secrets');
    this.#settings = serverSettings(options.settings);
    this.store = new Store(3 * settingMs(this.#settings, 'wal_writer_delay', model.walWriterDelayMs));
    this.#host = this.#makeHost();
  }

  /** What its sessions see of it. */
  #makeHost(): Host {
    const { model, loop, users, serverLog, unknownSql } = this.#options;
    const time = this.#time;
    return {
      get nowMs() {
        return loop.nowMs;
      },
      get paused() {
        return time.paused;
      },
      model,
      deadlockTimeoutMs: settingMs(this.#settings, 'deadlock_timeout', model.deadlockTimeoutMs),
      store: this.store,
      sql: new SqlCache(),
      settings: this.#settings,
      serverVersion: version,
      draw: ({ min, max }) => min + this.#cost.next() * (max - min),
      later: (atMs, act) => time.later(atMs, act),
      whenResumed: act => time.whenResumed(act),
      userOf: name => users.find(user => user.name === name) ?? null,
      log: (severity, sqlState, { userName, pid }, text) =>
        serverLog({ severity, sqlState, user: userName, backend: pid, text }),
      unknownSql,
      takeSlot: backend => this.#takeSlot(backend),
      mayKeepSlot: backend =>
        mayKeepSlot(backend, this.#backends, this.#slots) ?? this.#sessions.begins(backend.user!.name),
      cancel: (pid, secret) => this.#cancel(pid, secret),
      exited: backend => this.#exited(backend),
    };
  }

  /** SIGSTOP of all its processes: the kernel still takes connections and bytes. */
  pause(): void {
    this.#time.pause();
  }

  /** SIGCONT. Timers that are over by now go off. */
  resume(): void {
    this.#time.resume();
  }

  // Connections.

  #accept = (end: ServerEnd): ServerHears => {
    this.#pid += 1;
    const secret = Math.floor(this.#secrets.next() * 2 ** 31);
    const backend = new Backend(this.#host, end, this.#pid, secret);
    this.#backends.add(backend);
    return backend;
  };

  #takeSlot(backend: Process): SqlError | null {
    const refusal = refusals[this.#state];
    return refusal ? new FatalError('57P03', refusal) : takeSlot(backend, this.#backends, this.#slots);
  }

  #cancel(pid: number, secret: number): void {
    for (const backend of this.#backends) {
      if (backend.pid === pid && backend.secret === secret) backend.session?.cancel();
    }
  }

  #exited(backend: Process): void {
    this.#backends.delete(backend as Backend);
    if (this.#backends.size > 0) return;
    const act = this.#whenEmpty;
    this.#whenEmpty = null;
    act?.();
  }

  // Its life.

  /** Its processes are there, whether they answer or not. */
  running(): boolean {
    return this.#state !== 'down';
  }

  /** Resolves when it takes connections again. */
  start(): Promise<void> {
    if (this.#state !== 'down') return Promise.reject(new Error('PostgreSQL is running already'));
    this.resume();
    const started = new Promise<void>(resolve => this.#recover('starting', this.#toCaller(resolve)));
    const era = this.#era;
    const { loop, model } = this.#options;
    this.#time.later(loop.nowMs + model.startMs.listen, () => {
      if (this.#era === era) this.#port = this.#listen();
    });
    return started;
  }

  /** What a listener hears comes on behalf of whoever listens. */
  #listen(): { close(): void } {
    const { loop, actor, listen } = this.#options;
    const caller = loop.actor;
    loop.actor = actor;
    try {
      return listen(this.#accept);
    } finally {
      loop.actor = caller;
    }
  }

  /** Settles a promise on behalf of who asked, not of the server. */
  #toCaller(settle: () => void): () => void {
    const { loop } = this.#options;
    const { actor } = loop;
    return () => void loop.schedule(loop.nowMs, actor, settle, undefined);
  }

  #recover(state: 'starting' | 'recovering', done: () => void): void {
    const { startMs } = this.#options.model;
    const { loop } = this.#options;
    this.#state = state;
    this.#era += 1;
    const era = this.#era;
    if (this.#crashed)
      this.#time.later(loop.nowMs + startMs.crashed / 2, () => {
        if (this.#era === era) this.#state = 'redo';
      });
    this.#time.later(loop.nowMs + (this.#crashed ? startMs.crashed : startMs.clean), () => {
      if (this.#era !== era) return;
      this.#state = 'up';
      this.#crashed = false;
      done();
    });
  }

  /** Resolves when its processes are gone. It is woken first when it is paused. */
  stop(how: StopHow): Promise<void> {
    if (this.#state === 'down') return Promise.resolve();
    this.#era += 1;
    const era = this.#era;
    this.#state = 'stopping';
    this.#diedAtMs = this.#options.loop.nowMs;
    if (how === 'kill') this.#port?.close();
    this.resume();
    const gone = new Promise<void>(resolve => this.#whenDown.push(this.#toCaller(resolve)));
    this.#whenAllGone(() => this.#era === era && this.#endSoon(how, era));
    for (const backend of [...this.#backends]) {
      if (how === 'fast') backend.terminate();
      else if (how === 'kill') backend.orphan();
      else backend.quit('57P01', 'terminating connection due to immediate shutdown command');
    }
    return gone;
  }

  #whenAllGone(act: () => void): void {
    if (this.#backends.size === 0) act();
    else this.#whenEmpty = act;
  }

  #endSoon(how: StopHow, era: number): void {
    const { loop, model } = this.#options;
    this.#time.later(loop.nowMs + model.stopMs[how], () => {
      if (this.#era === era) this.#end(how);
    });
  }

  #end(how: StopHow): void {
    // Who connected in the meantime goes with it.
    for (const backend of [...this.#backends]) backend.die();
    this.#port?.close();
    this.#port = null;
    this.#state = 'down';
    if (how === 'fast') this.store.flush();
    else this.#crash();
    for (const done of this.#whenDown.splice(0)) done();
  }

  #crash(): void {
    this.store.crash(this.#diedAtMs, this.#loss.next());
    this.#crashed = true;
  }

  /** SIGKILL of one of its processes: all others go too, and it recovers by itself. */
  crashBackend(pid: number): void {
    const victim = [...this.#backends].find(backend => backend.pid === pid);
    if (!victim || this.#state !== 'up') throw new Error(`no session of a running server has pid ${pid}`);
    this.#state = 'recovering';
    this.#diedAtMs = this.#options.loop.nowMs;
    victim.die();
    for (const backend of [...this.#backends]) backend.quit('57P02', backendCrashed);
    this.#crash();
    this.#whenAllGone(() => this.#recover('recovering', () => {}));
  }

  createTables(trial: string): { writes: string; keys: string } {
    return this.store.createTables(trial);
  }

  /** Throws while it takes no connections. */
  sessions(user: string): SessionCounts {
    if (this.#state !== 'up' || this.#time.paused) throw new Error('the server is away');
    return this.#sessions.count(user);
  }

  /** pg_terminate_backend for all of them, until none is left: how many there were. */
  endSessions(user: string): Promise<number> {
    return new Promise((resolve, reject) => {
      let settled = (): void => {};
      const done = this.#toCaller(() => settled());
      endSessions(this.#backends, user, this.#host, (found, error) => {
        settled = () => (error ? reject(error) : resolve(found));
        done();
      });
    });
  }

  preparedTransactions(): number {
    return 0;
  }

  readRows(trial: string, each: (row: StoredRow) => void): number {
    return this.store.readRows(trial, each);
  }

  countRows(trial: string): number {
    return this.store.countRows(trial);
  }
}
