import type { Clock } from '../clock.ts';
import { round3, within } from '../clock.ts';
import type { GaugeFacts } from '../ledger/record.ts';
import type { Pool, PoolAdapter } from '../pools/pool.ts';
import { type App, type OpenSubmit, runSubmit } from './app.ts';
import type { Channel } from './channel.ts';
import { Counters } from './counters.ts';
import { errorFacts } from './errors.ts';
import {
  beatMs,
  type OpenMessage,
  protocolVersion,
  type SettledMessage,
  type SubmitMessage,
  type ToWorker,
} from './protocol.ts';
import { statements } from './sql.ts';

export interface WorkerHost {
  clock: Clock;
  channel: Channel;
  /** The adapter of that name, or of that module path. */
  adapter(name: string): Promise<PoolAdapter>;
  /** What the process costs since the last call; nulls in the virtual world. */
  vitals(): Pick<GaugeFacts, 'loopDelayP99Ms' | 'rssBytes' | 'cpuMs'>;
  /**
   * A process: it tells that it lives, and samples often. The virtual world needs no sign of life and samples
   * seldom, so there a queue is told of when it begins and when it is gone.
   */
  beats: boolean;
  exit(code: number): void;
}

/** An app worker: owns one pool and does with it what an application does. Knows no fault and no scenario. */
export class AppWorker {
  #host: WorkerHost;
  #app: App | null = null;
  #pool: Pool | null = null;
  #open = new Map<number, OpenSubmit>();
  #counters: Counters;
  #timers: (() => void)[] = [];
  #queueTold = false;

  constructor(host: WorkerHost) {
    this.#host = host;
    this.#counters = new Counters(host.clock);
  }

  hear(message: ToWorker): void {
    switch (message.k) {
      case 'open':
        void this.#openPool(message);
        break;
      case 'submit':
        this.#submit(message);
        break;
      case 'mark':
        this.#sendGauges();
        break;
      case 'ping':
        this.#host.channel.send({ k: 'pong', n: message.n, at: this.#now() });
        break;
      case 'close':
        void this.#close(message.deadlineMs);
        break;
      default: // A newer harness's message is not ours to judge.
    }
  }

  async #openPool(open: OpenMessage): Promise<void> {
    const { channel, clock } = this.#host;
    if (open.v !== protocolVersion) {
      const message = `this worker speaks protocol ${protocolVersion}, not ${open.v}`;
      return channel.send({ k: 'failed', code: 'protocol-version', message });
    }
    try {
      const adapter = await this.#host.adapter(open.pool);
      const hooks = { conn: this.#conn };
      this.#counters.bound(adapter.acquireTimeoutMs(open.settings));
      const { endpoint, settings, app: habits } = open;
      this.#pool = await adapter.open({ endpoint, settings, app: habits, hooks, clock });
      this.#app = {
        trial: open.trial,
        pool: this.#pool,
        habits,
        sql: statements(endpoint.engine, open.tables),
        clock,
        waiting: () => {
          if (!this.#host.beats) this.#queueBegins();
          return this.#counters.waiting();
        },
        waited: (ticket, acquired) => {
          this.#counters.waited(ticket, acquired);
          if (this.#queueTold && !this.#counters.backlogged) this.#queueGone();
        },
        leased: () => this.#counters.leased(),
        released: broken => this.#counters.released(broken),
      };
      this.#startTimers(open.sampleMs);
      const capabilities = { conn: true, gauges: true, virtual: true };
      const versions = { node: process.version, ...adapter.versions() };
      channel.send({ k: 'ready', v: protocolVersion, at: this.#now(), capabilities, versions });
    } catch (error) {
      channel.send({ k: 'failed', code: 'open', message: errorFacts(error).message });
      // As an application that cannot start: it ends, and is started again.
      channel.flush();
      this.#host.exit(1);
    }
  }

  #startTimers(sampleMs: number): void {
    const { clock, channel, beats } = this.#host;
    this.#timers.push(clock.every(sampleMs, () => this.#sendGauges()));
    if (beats) this.#timers.push(clock.every(beatMs, () => channel.send({ k: 'beat' })));
  }

  #conn: Parameters<PoolAdapter['open']>[0]['hooks']['conn'] = event => {
    this.#counters.conn(event);
    this.#host.channel.send({ k: 'conn', at: this.#now(), ...event }, 'soon');
  };

  /** A wait that is over in the same instant is no queue. */
  #queueBegins(): void {
    if (this.#queueTold || this.#counters.backlogged) return;
    // The pool has a connection to give: not worth a look.
    if (this.#pool!.gauges().idle > 0) return;
    this.#host.clock.after(0, () => {
      if (this.#queueTold || !this.#counters.backlogged) return;
      this.#queueTold = true;
      this.#sendGauges();
    });
  }

  #queueGone(): void {
    this.#queueTold = false;
    this.#sendGauges();
  }

  /**
   * About to die of an uncaught exception. Leases are told with the submit that had them, so those of
   * submits that will never settle are told now.
   */
  tellLeases(): void {
    for (const { attempts } of this.#open.values())
      for (const { conn, acquiredAt, releasedAt } of attempts) {
        if (conn === null || acquiredAt === null) continue;
        this.#host.channel.send({ k: 'conn', conn, ev: 'borrow', at: acquiredAt });
        if (releasedAt) this.#host.channel.send({ k: 'conn', conn, ev: 'release', at: releasedAt });
      }
  }

  #submit(submit: SubmitMessage): void {
    const app = this.#app;
    if (!app) return;
    const open: OpenSubmit = { submit, attempts: [], releaseError: null };
    this.#open.set(submit.id, open);
    void runSubmit(app, open).then(outcome => {
      if (this.#open.delete(submit.id)) this.#settle(open, outcome, false);
    });
  }

  #settle(
    { submit, attempts, releaseError }: OpenSubmit,
    outcome: SettledMessage['outcome'],
    open: boolean,
  ): void {
    const at = this.#now();
    const settled: SettledMessage = { k: 'settled', id: submit.id, at, outcome, attempts, releaseError };
    if (open) settled.open = true;
    this.#host.channel.send(settled, this.#counters.backlogged ? 'soon' : 'now');
  }

  #sendGauges(): void {
    if (!this.#pool) return;
    const { total, idle, max } = this.#pool.gauges();
    const gauges = { total, idle, max, ...this.#counters.read(), ...this.#host.vitals() };
    this.#host.channel.send({ k: 'gauges', at: this.#now(), ...gauges });
  }

  /** What never ended is told as it stands, then the pool gets until the deadline to close. */
  async #close(deadlineMs: number): Promise<void> {
    for (const open of this.#open.values()) this.#settle(open, 'indeterminate', true);
    this.#open.clear();
    this.#sendGauges();
    for (const stop of this.#timers) stop();
    const closing = this.#pool
      ? this.#pool.close().then(
          () => true,
          () => true,
        )
      : Promise.resolve(true);
    const closed = await within(this.#host.clock, deadlineMs, closing, false);
    // Hung: the harness ends us and says so.
    if (!closed) return;
    this.#host.channel.send({ k: 'closed', at: this.#now() });
    this.#host.channel.flush();
    this.#host.exit(0);
  }

  #now(): number {
    return round3(this.#host.clock.nowMs());
  }
}
