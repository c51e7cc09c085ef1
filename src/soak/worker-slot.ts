import type { TrialClock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { GaugeFacts, Settled, Worker } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import {
  errorTextMax,
  type FromWorker,
  type OpenMessage,
  protocolVersion,
  type SubmitMessage,
} from '../worker/protocol.ts';
import type { SpawnWorker, WorkerLink } from './link.ts';
import { readMessage } from './validate.ts';

export interface SlotContext {
  plan: Plan;
  clock: TrialClock;
  ledger: Ledger;
  spawn: SpawnWorker;
  open: Pick<OpenMessage, 'endpoint' | 'tables'>;
  settled(fact: Settled): void;
  /** So many submits went down with their worker. */
  lost(open: number): void;
}

const stalledAfterMs = 2000;
const outputTextMax = 4096;
const outputLinesMax = 64;
const violationsMax = 100;
const pings = 5;

/** One app worker through all its lives: started, heard, restarted when it dies, closed at the end. */
export class WorkerSlot {
  readonly worker: number;
  life = 0;
  state: 'starting' | 'ready' | 'down' | 'closing' | 'closed' = 'down';
  gauges: GaugeFacts | null = null;
  lastOutput = '';
  /** Why the pool could not be opened at all. */
  failed: string | null = null;
  #context: SlotContext;
  #link: WorkerLink | null = null;
  #open = new Set<number>();
  #deaths: number[] = [];
  #stopRespawn = () => {};
  #stopWatch = () => {};
  #heardMs = 0;
  #stalled = false;
  #outputLines = 0;
  #violations = 0;
  #pingSentMs = 0;
  /** The worker's clock is not ours: only durations are used. */
  #foreignClock = false;
  #exited: (() => void)[] = [];

  constructor(worker: number, context: SlotContext) {
    this.worker = worker;
    this.#context = context;
  }

  start(): void {
    const { spawn, plan, open, clock } = this.#context;
    this.life += 1;
    this.state = 'starting';
    this.#outputLines = 0;
    this.#violations = 0;
    this.#fact('spawn');
    this.#link = spawn(this.worker, this.life, {
      message: raw => this.#hear(raw),
      told: message => this.#handle(message),
      violation: detail => this.#violation(detail),
      output: text => this.#output(text),
      exit: detail => this.#exit(detail),
    });
    const { settings, app, pool } = plan.candidateSpec;
    this.#link.send({
      k: 'open',
      v: protocolVersion,
      trial: plan.trial,
      worker: this.worker,
      life: this.life,
      ...open,
      pool,
      settings,
      app,
      sampleMs: plan.sampleMs,
    });
    this.#heardMs = clock.nowMs();
    // Virtual workers have no sign of life to miss.
    if (!plan.virtual) this.#stopWatch = clock.every(250, () => this.#watch());
  }

  /** false: it is not there, or has more open submits than it may. */
  submit(submit: SubmitMessage): 'sent' | 'worker-down' | 'backlog' {
    if (this.state !== 'ready' || !this.#link) return 'worker-down';
    if (this.#open.size >= this.#context.plan.backlogMax) return 'backlog';
    this.#open.add(submit.id);
    this.#link.send(submit);
    return 'sent';
  }

  mark(name: string): void {
    if (this.state === 'ready') this.#link?.send({ k: 'mark', name });
  }

  /** Ends the worker: asks, waits `deadlineMs`, then TERM, 2 s later KILL. */
  async close(deadlineMs: number): Promise<void> {
    this.#stopRespawn();
    if (this.state === 'down' || this.state === 'closed') {
      this.state = 'closed';
      return;
    }
    const { clock } = this.#context;
    const gone = new AbortController();
    this.#exited.push(() => gone.abort());
    this.#fact('closing');
    this.state = 'closing';
    this.#link?.send({ k: 'close', deadlineMs });
    await clock.sleepMs(deadlineMs + 100, gone.signal);
    if (gone.signal.aborted) return;
    this.#fact('close-hung', `not closed within ${deadlineMs} ms`);
    this.#link?.end('TERM');
    await clock.sleepMs(2000, gone.signal);
    if (!gone.signal.aborted) this.#link?.end('KILL');
    await clock.sleepMs(5000, gone.signal);
  }

  #fact(ev: Worker['ev'], detail: string | null = null, crash = false): void {
    this.#context.ledger.append({ k: 'worker', worker: this.worker, life: this.life, ev, crash, detail });
  }

  #hear(raw: unknown): void {
    this.#heardMs = this.#context.clock.nowMs();
    this.#stalled = false;
    const heard = readMessage(raw);
    if ('violation' in heard) return this.#violation(heard.violation);
    if ('message' in heard) this.#handle(heard.message);
  }

  #handle(message: FromWorker): void {
    const { ledger } = this.#context;
    const from = { worker: this.worker, life: this.life };
    switch (message.k) {
      case 'ready':
        return this.#ready(message);
      case 'failed':
        this.failed = `${message.code}: ${message.message}`;
        return this.#fact('failed', this.failed);
      case 'settled':
        return this.#settled(message);
      case 'conn': {
        const { conn, ev, at, localPort = null, backend = null, why = null } = message;
        return ledger.append({
          k: 'conn',
          ...from,
          conn,
          ev,
          atMs: this.#time(at, at),
          localPort,
          backend,
          why,
        });
      }
      case 'gauges': {
        const { k: _k, at, ...gauges } = message;
        this.gauges = gauges;
        return ledger.append({ k: 'gauges', ...from, atMs: this.#time(at, at), ...gauges });
      }
      case 'pong':
        return this.#pong(message);
      case 'closed':
        return this.#fact('closed');
      case 'beat':
    }
  }

  #ready({ versions }: Extract<FromWorker, { k: 'ready' }>): void {
    this.#fact('ready', JSON.stringify(versions));
    if (this.state === 'starting') this.state = 'ready';
    this.#ping(1);
  }

  #ping(n: number): void {
    this.#pingSentMs = this.#context.clock.realNowMs();
    this.#link?.send({ k: 'ping', n });
  }

  /** An offset beyond what the round trip explains, in every ping, is a clock that is not ours. */
  #pong({ n, at }: { n: number; at: number }): void {
    const now = this.#context.clock.realNowMs();
    const offset = at - (now + this.#pingSentMs) / 2;
    const explained = Math.abs(offset) <= (now - this.#pingSentMs) / 2 + 2;
    this.#foreignClock = !explained && (n === 1 || this.#foreignClock);
    if (n < pings) this.#ping(n + 1);
  }

  /** A worker's time on the trial's clock; `saidAt` is the `at` of the message it came in. */
  #time(at: number, saidAt: number): number {
    const { clock } = this.#context;
    return this.#foreignClock ? clock.nowMs() - (saidAt - at) : clock.fromReal(at);
  }

  #settled({
    id,
    at,
    outcome,
    open = false,
    attempts,
    releaseError,
  }: Extract<FromWorker, { k: 'settled' }>): void {
    if (!this.#open.delete(id)) return this.#violation(`settled twice, or never sent: ${id}`);
    const maybe = (time: number | null) => (time === null ? null : this.#time(time, at));
    // In place: the message is ours alone, and thousands a second come.
    for (const attempt of attempts) {
      attempt.startedAt = this.#time(attempt.startedAt, at);
      attempt.acquiredAt = maybe(attempt.acquiredAt);
      if (attempt.releasedAt !== undefined) attempt.releasedAt = maybe(attempt.releasedAt);
      attempt.endedAt = maybe(attempt.endedAt);
      if (attempt.error) attempt.error.message = attempt.error.message.slice(0, errorTextMax);
    }
    const from = { worker: this.worker, life: this.life };
    const atMs = this.#time(at, at);
    const fact: Settled = {
      k: 'settled',
      id,
      ...from,
      atMs,
      outcome,
      open,
      attempts,
      releaseError,
    };
    this.#context.ledger.append(fact);
    this.#context.settled(fact);
  }

  /** A worker that logs on the wrong channel shall not fill the disk. */
  #violation(detail: string): void {
    this.#violations += 1;
    if (this.#violations > violationsMax) return;
    const last = this.#violations === violationsMax ? ` [no more are kept: limit ${violationsMax}]` : '';
    this.#fact('protocol', `${detail}${last}`);
  }

  #output(text: string): void {
    this.#outputLines += 1;
    this.lastOutput = text.trim().slice(0, 500);
    if (this.#outputLines > outputLinesMax) return;
    const last =
      this.#outputLines === outputLinesMax ? ` [no more is kept: limit ${outputLinesMax} pieces]` : '';
    this.#fact('output', `${text.slice(0, outputTextMax)}${last}`);
  }

  #watch(): void {
    const { clock } = this.#context;
    if (this.#stalled || clock.nowMs() - this.#heardMs < stalledAfterMs) return;
    this.#stalled = true;
    this.#fact('stalled', `nothing heard for ${stalledAfterMs} ms`);
  }

  #exit(detail: string): void {
    if (!this.#link) return;
    this.#link = null;
    this.#stopWatch();
    const crash = this.state !== 'closing';
    this.#fact('exit', detail, crash);
    this.#context.lost(this.#open.size);
    this.#open.clear();
    for (const tell of this.#exited) tell();
    if (!crash || this.state === 'closed') {
      this.state = 'closed';
      return;
    }
    this.state = 'down';
    this.#respawn();
  }

  #respawn(): void {
    const { plan, clock } = this.#context;
    const now = clock.nowMs();
    this.#deaths = [...this.#deaths.filter(ms => now - ms < 60 * plan.secondMs), now];
    if (this.#deaths.length === 5) this.#fact('crash-loop', '5 crashes within 60 s');
    const delayMs = Math.min(plan.respawnMs * 2 ** (this.#deaths.length - 1), plan.respawnMaxMs);
    this.#stopRespawn = clock.after(delayMs, () => this.start());
  }
}
