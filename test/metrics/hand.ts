import type { Attempt, ErrorFacts, Fact, LedgerRecord, Row, Told } from '../../src/ledger/record.ts';
import { measure } from '../../src/metrics/metrics.ts';
import type { TrialMetrics } from '../../src/metrics/types.ts';
import type { Plan, PlannedFault } from '../../src/plan.ts';
import { sha256 } from '../../src/random.ts';

/** A plan at speed 1: patience 10 s, a second is a second, a pool of at most 2 per worker. */
export const handPlan: Plan = {
  trial: 'trial0000000',
  scenario: 'hand',
  scenarioSha256: 's',
  candidate: 'pool',
  candidateSha256: 'c',
  engine: 'postgres',
  host: 'embedded',
  seed: 1,
  speed: 1,
  virtual: false,
  path: 'userspace',
  proxy: 'embedded',
  needs: [],
  workers: 2,
  durationMs: 100_000,
  patienceMs: 10_000,
  drainMs: 30_000,
  secondMs: 1000,
  respawnMs: 1000,
  respawnMaxMs: 15_000,
  sampleMs: 100,
  backlogMax: 10_000,
  durability: 'none-lost',
  workload: { sessions: 4, everyMs: 1000, jitter: 0, rows: 2, rejected: 0, bursts: [], breaks: [] },
  arrivals: null,
  server: { appSlots: 28, settings: {} },
  faults: [],
  candidateSpec: {
    pool: 'pool',
    written: {},
    settings: {},
    app: {
      transaction: 'explicit',
      release: 'always',
      onPoolError: 'listen',
      onClientError: 'listen',
      statementTimeoutMs: null,
      retry: null,
      cancelOnPatienceMs: null,
    },
    max: 2,
    acquireTimeoutMs: null,
    reaperMs: null,
  },
  checks: [],
  expect: null,
};

export const candidate = (over: Partial<Plan['candidateSpec']>): Pick<Plan, 'candidateSpec'> => ({
  candidateSpec: { ...handPlan.candidateSpec, ...over },
});

export const habits = (over: Partial<Plan['candidateSpec']['app']>): Pick<Plan, 'candidateSpec'> =>
  candidate({ app: { ...handPlan.candidateSpec.app, ...over } });

export const fault = (
  id: string,
  kind: PlannedFault['kind'],
  atMs: number,
  untilMs: number,
): PlannedFault => ({
  id,
  name: id.replace(/-\d+$/, ''),
  kind,
  atMs,
  untilMs,
  settings: {},
  disturbsProbe: kind === 'outage',
});

export const error = (over: Partial<ErrorFacts> = {}): ErrorFacts => ({
  code: null,
  sqlState: null,
  errno: null,
  message: '',
  ...over,
});

/** An attempt that was acked, 4 ms after it began, unless said otherwise. */
export const tried = (startedAt: number, over: Partial<Attempt> = {}): Attempt => ({
  n: 0,
  conn: 1,
  startedAt,
  acquiredAt: startedAt + 1,
  commitSent: true,
  answered: true,
  tag: 'COMMIT',
  step: 'commit',
  outcome: 'acked',
  endedAt: startedAt + 4,
  error: null,
  ...over,
});

/** Attempts that ended as the name says, a while after they began. */
export const ended = {
  acked: (at: number, tookMs = 4, conn = 1) => tried(at, { conn, endedAt: at + tookMs }),
  rejected: (at: number, tookMs = 4, conn = 1) =>
    tried(at, {
      conn,
      step: 'write',
      commitSent: false,
      tag: null,
      outcome: 'rejected',
      endedAt: at + tookMs,
      error: error({ sqlState: '23514' }),
    }),
  failed: (at: number, tookMs = 4, conn = 1) =>
    tried(at, {
      conn,
      step: 'write',
      commitSent: false,
      answered: false,
      tag: null,
      outcome: 'failed',
      endedAt: at + tookMs,
      error: error({ code: 'ECONNRESET' }),
    }),
  indeterminate: (at: number, tookMs = 4, conn = 1) =>
    tried(at, {
      conn,
      answered: false,
      tag: null,
      outcome: 'indeterminate',
      endedAt: at + tookMs,
      error: error({ code: 'ECONNRESET' }),
    }),
  /** Nobody gave it a connection. */
  unacquired: (at: number, tookMs: number, facts: Partial<ErrorFacts> = {}) =>
    tried(at, {
      conn: null,
      acquiredAt: null,
      step: 'acquire',
      commitSent: false,
      answered: facts.sqlState !== undefined,
      tag: null,
      outcome: 'failed',
      endedAt: at + tookMs,
      error: error(facts),
    }),
};

export interface Handed {
  worker?: number;
  life?: number;
  session?: number;
  rows?: number;
  valid?: boolean;
  sent?: boolean;
  /** When it was handed over, if later than scheduled. */
  sentMs?: number;
}

/** A ledger written by hand: facts at their times, what is stored, a final read without trouble. */
export class Hand {
  readonly plan: Plan;
  complete = true;
  read = true;
  #facts: { t: number; fact: Fact }[] = [];
  #rows: Row[] = [];
  #submits: { worker: number; life: number; session: number; seq: number; rows: number }[] = [];
  #seqs = new Map<number, number>();
  #xid = 700;

  constructor(plan: Partial<Plan> = {}) {
    this.plan = { ...handPlan, ...plan };
  }

  say(t: number, fact: Fact): this {
    this.#facts.push({ t, fact });
    return this;
  }

  submit(scheduledMs: number, over: Handed = {}): number {
    const { worker = 0, life = 1, session = worker, rows = 2, valid = true, sent = true } = over;
    const id = this.#submits.length;
    const seq = this.#seqs.get(session) ?? 0;
    this.#seqs.set(session, seq + 1);
    this.#submits.push({ worker, life, session, seq, rows });
    const why = sent ? null : 'worker-down';
    this.say(over.sentMs ?? scheduledMs, {
      k: 'submit',
      id,
      worker,
      life,
      session,
      seq,
      rows,
      valid,
      scheduledMs,
      sent,
      why,
    });
    return id;
  }

  settle(id: number, atMs: number, outcome: Told, attempts: Attempt[], open = false): this {
    const { worker, life } = this.#submits[id]!;
    return this.say(atMs, {
      k: 'settled',
      id,
      worker,
      life,
      atMs,
      outcome,
      open,
      attempts,
      releaseError: null,
    });
  }

  /** Rows of a submit: copies of each row, in one transaction unless said. */
  store(id: number, copies: number[] = [1, 1], xids: string[] = [`${this.#xid++}`]): this {
    const { session, seq, rows } = this.#submits[id]!;
    copies.forEach((count, row) => {
      for (let n = 0; n < count; n += 1)
        this.row({ session, seq, row, of: rows, xid: xids[(n + row) % xids.length]! });
    });
    return this;
  }

  row(over: Partial<Row>): this {
    const { trial } = this.plan;
    const [session, seq, row] = [over.session ?? 0, over.seq ?? 0, over.row ?? 0];
    const sha = sha256(`${trial}:${session}:${seq}:${row}`);
    this.#rows.push({
      k: 'row',
      trial,
      session,
      seq,
      attempt: 0,
      row,
      of: 2,
      sha,
      valid: true,
      xid: '1',
      ...over,
    });
    return this;
  }

  /** Scheduled, acked `tookMs` later, and stored. */
  fine(atMs: number, tookMs = 5, over: Handed = {}): number {
    const id = this.fineUnstored(atMs, tookMs, over);
    this.store(id);
    return id;
  }

  /** Scheduled and acked; what is stored is not said. */
  fineUnstored(atMs: number, tookMs = 5, over: Handed = {}): number {
    const id = this.submit(atMs, over);
    this.settle(id, atMs + tookMs, 'acked', [ended.acked(atMs, tookMs)]);
    return id;
  }

  /** Scheduled, certainly failed `tookMs` later, and not stored. */
  failing(atMs: number, tookMs = 5, over: Handed = {}): number {
    const id = this.submit(atMs, over);
    this.settle(id, atMs + tookMs, 'failed', [ended.failed(atMs, tookMs)]);
    return id;
  }

  /** As planned. */
  rejecting(atMs: number, tookMs = 5, over: Handed = {}): number {
    const id = this.submit(atMs, { ...over, valid: false });
    this.settle(id, atMs + tookMs, 'rejected', [ended.rejected(atMs, tookMs)]);
    return id;
  }

  conn(
    conn: number,
    ev: 'opening' | 'open' | 'borrow' | 'release' | 'close',
    atMs: number,
    { worker = 0, life = 1, localPort = null as number | null } = {},
  ): this {
    return this.say(atMs, { k: 'conn', worker, life, conn, ev, atMs, localPort, backend: null, why: null });
  }

  fault(
    id: string,
    ev: 'inject' | 'effective' | 'heal-called' | 'last-failed' | 'healed' | 'not-healed',
    atMs: number,
  ): this {
    return this.say(atMs, { k: 'fault', fault: id, ev, atMs, detail: null });
  }

  /** An outage from inject to healed, effective 10 ms after inject. */
  outage(id: string, injectMs: number, healedMs: number): this {
    return this.fault(id, 'inject', injectMs)
      .fault(id, 'effective', injectMs + 10)
      .fault(id, 'heal-called', healedMs - 20)
      .fault(id, 'last-failed', healedMs - 10)
      .fault(id, 'healed', healedMs);
  }

  worker(
    t: number,
    ev: 'exit' | 'closing' | 'protocol' | 'crash-loop',
    over: { worker?: number; life?: number; crash?: boolean } = {},
  ): this {
    const { worker = 0, life = 1, crash = false } = over;
    return this.say(t, { k: 'worker', worker, life, ev, crash, detail: `${ev} of ${worker}` });
  }

  gauges(
    atMs: number,
    loopDelayP99Ms: number | null,
    { worker = 0, rssBytes = null as number | null } = {},
  ): this {
    const counters = { acquires: 0, acquireTimeouts: 0, opened: 0, closed: 0, destroyed: 0, leases: 0 };
    const since = { waitingMax: 0, acquiredMax: 0, oldestWaitMs: 0 };
    const facts = { total: 0, idle: 0, acquired: 0, waiting: 0, max: 2, since, counters, cpuMs: null };
    return this.say(atMs, { k: 'gauges', worker, life: 1, atMs, ...facts, loopDelayP99Ms, rssBytes });
  }

  note(
    t: number,
    what: 'phase' | 'final-read' | 'trouble' | 'control',
    name: string,
    ok = true,
    detail: string | null = null,
  ): this {
    return this.say(t, { k: 'note', what, name, ok, detail });
  }

  refused(t: number): this {
    return this.say(t, {
      k: 'serverLog',
      severity: 'FATAL',
      sqlState: '53300',
      user: 'app',
      backend: null,
      text: '',
    });
  }

  /** In the order of time; rows in the order of (session, seq), as they are read. */
  records(): LedgerRecord[] {
    const { plan } = this;
    const header: Fact = { k: 'header', schemaVersion: 1, trial: plan.trial, plan, versions: {} };
    const facts = [...this.#facts].sort((a, b) => a.t - b.t);
    const lastMs = facts.at(-1)?.t ?? 0;
    const rows = [...this.#rows].sort((a, b) => a.session - b.session || a.seq - b.seq || a.row - b.row);
    const end: Fact[] = [];
    if (this.read) end.push({ k: 'note', what: 'final-read', name: 'read', ok: true, detail: null });
    end.push({ k: 'end', lines: facts.length + rows.length + end.length + 2, complete: this.complete });
    const all = [{ t: 0, fact: header }, ...facts, ...[...rows, ...end].map(fact => ({ t: lastMs, fact }))];
    return all.map(({ t, fact }, i) => ({ i, t, ...fact }));
  }

  measure(): TrialMetrics {
    return this.measureOf(this.records());
  }

  measureOf(records: LedgerRecord[]): TrialMetrics {
    return measure(() => records);
  }
}

/** `count` good submits, `everyMs` apart, from `fromMs` on. */
export function manyFine(hand: Hand, count: number, fromMs: number, everyMs = 100): void {
  for (let n = 0; n < count; n += 1) hand.fine(fromMs + n * everyMs);
}

/** Stands in for a plan with the outage `restart-1` from 20 s to 25 s. */
export const withRestart = (over: Partial<Plan> = {}): Hand =>
  new Hand({ faults: [fault('restart-1', 'outage', 20_000, 25_000)], ...over });
