import type { Attempt, LedgerRecord, Settled } from '../ledger/record.ts';
import { attemptOutcome } from './certainty.ts';
import { windowsOf } from './faults.ts';
import { Kills } from './kills.ts';
import type { Life } from './lives.ts';
import { isRefusal, Refusals } from './refusals.ts';
import { type Span, touches, union } from './spans.ts';
import type { Tables } from './tables.ts';
import type { Timeline } from './timeline.ts';
import { Waits } from './waits.ts';

/** One attempt with all that is known around it. */
interface Tried {
  attempt: Attempt;
  submit: number;
  life: Life;
  lease: number;
  /** When it ended, or was cut off. */
  overMs: number;
  line: number;
}

/** How an attempt's wait for a connection ended. */
export interface AcquireWait {
  submit: number;
  waitMs: number;
  end: 'acquired' | 'failed' | 'timeout' | 'open';
}

/**
 * The second reading of a ledger: attempt by attempt, now that all connections, faults and ends are
 * known. Keeps counts, and the waits in columns.
 */
export class Attempts {
  readonly waits = new Waits();
  readonly kills: Kills;
  readonly refusals = new Refusals();
  readonly poisoned = { all: 0, outsideOutages: 0, spoilt: 0 };
  /** First borrows of connections older than the outage that failed, for each cluster. */
  readonly oldFailed: number[];
  exposed = 0;
  #tables: Tables;
  #timeline: Timeline;
  #exposedIn: Span[];
  #leaseAt = 0;
  #acquireWait: (wait: AcquireWait) => void;

  constructor(tables: Tables, timeline: Timeline, acquireWait: (wait: AcquireWait) => void) {
    this.#tables = tables;
    this.#timeline = timeline;
    this.#acquireWait = acquireWait;
    this.kills = new Kills(tables);
    this.oldFailed = timeline.clusters.map(() => 0);
    const { secondMs } = tables.plan;
    this.#exposedIn = union(windowsOf(tables.faults.outages, { beforeMs: secondMs, afterMs: secondMs }));
  }

  read(records: Iterable<LedgerRecord>): void {
    for (const record of records) if (record.k === 'settled') this.#settled(record);
    this.#unsettled();
  }

  #settled(settled: LedgerRecord & Settled): void {
    const { submits, lives, attemptLease } = this.#tables;
    const submit = submits.find(settled.id);
    const life = lives.of(settled.worker, settled.life);
    for (const attempt of settled.attempts) {
      const lease = attemptLease.get(this.#leaseAt);
      this.#leaseAt += 1;
      if (submit === undefined || submits.settledLine.get(submit) !== settled.i) continue;
      const overMs = attempt.endedAt ?? settled.atMs;
      this.#attempt({ attempt, submit, life, lease, overMs, line: settled.i });
    }
  }

  /** What nobody settled told of no attempts: it counts as one, from being sent to its worker's end. */
  #unsettled(): void {
    const { submits } = this.#tables;
    for (let row = 0; row < submits.length; row += 1) {
      if (!submits.has(row, 'sent') || submits.settledLine.get(row) >= 0) continue;
      if (touches(this.#exposedIn, submits.sentMs.get(row), submits.lifeOf(row).endMs)) this.exposed += 1;
    }
  }

  #attempt(tried: Tried): void {
    this.#wait(tried);
    this.#expose(tried);
    this.#refused(tried);
    this.#poison(tried);
    this.#oldBorrow(tried);
  }

  #wait({ attempt, submit, life, overMs, line }: Tried): void {
    const { startedAt, acquiredAt } = attempt;
    const toMs = acquiredAt ?? overMs;
    const waitMs = toMs - startedAt;
    this.waits.add({ fromMs: startedAt, toMs, submit, life: life.row, line });
    this.#acquireWait({ submit, waitMs, end: this.#endOfWait(attempt, waitMs) });
  }

  #endOfWait({ acquiredAt, endedAt, error }: Attempt, waitMs: number): AcquireWait['end'] {
    if (acquiredAt !== null) return 'acquired';
    if (endedAt === null) return 'open';
    const { acquireTimeoutMs } = this.#tables.plan.candidateSpec;
    const fromServer = error !== null && (error.sqlState !== null || error.errno !== null);
    // Timers may fire a hair early.
    return acquireTimeoutMs !== null && !fromServer && waitMs >= acquireTimeoutMs - 1 ? 'timeout' : 'failed';
  }

  /** Only a submit exposed to a fault can be lost by it. */
  #expose({ attempt, lease, line }: Tried): void {
    const { connections } = this.#tables;
    const endMs = attempt.endedAt ?? Number.POSITIVE_INFINITY;
    const connection = lease < 0 ? -1 : connections.leases.connection.get(lease);
    const onKilled = connection >= 0 && endMs > this.kills.killedMs(connection);
    if (onKilled || touches(this.#exposedIn, attempt.startedAt, endMs)) this.exposed += 1;
    if (onKilled && this.#failed(attempt)) this.kills.hit(connection, attempt, line);
  }

  #refused({ attempt, overMs, line }: Tried): void {
    if (!isRefusal(attempt.error)) return;
    this.refusals.add(overMs, line);
    this.#tables.examples.add('refused-in-worker', line);
  }

  #poison(tried: Tried): void {
    if (!this.#isPoisoned(tried)) return;
    const { attempt, submit, line, overMs } = tried;
    const acquiredAt = attempt.acquiredAt as number;
    this.poisoned.all += 1;
    this.#tables.examples.add('poisoned', line, overMs - acquiredAt);
    if (this.#byOutage(tried)) return;
    this.poisoned.outsideOutages += 1;
    this.#tables.examples.add('poisoned-outside-outages', line, overMs - acquiredAt);
    if (this.#tables.submits.has(submit, 'spoilt')) this.poisoned.spoilt += 1;
  }

  /** Its first statement ended in a connection error, or outlived its user's patience. */
  #isPoisoned({ attempt, overMs }: Tried): boolean {
    const { plan } = this.#tables;
    const { step, tag, acquiredAt, answered, error } = attempt;
    if (acquiredAt === null) return false;
    // In autocommit the first row is the first statement: the tag tells that it was answered.
    const autocommit = plan.candidateSpec.app.transaction === 'autocommit';
    if (autocommit ? step !== 'write' || tag !== null : step !== 'begin') return false;
    return (
      (error !== null && (!answered || isConnectionState(error.sqlState))) ||
      overMs - acquiredAt > plan.patienceMs
    );
  }

  /**
   * The outage's doing: borrowed, or found dead, within [inject, healed + grace]; or the first borrow
   * since then of a connection opened before it. That one is counted by `errorsPerOldConnection`
   * instead, however long after the outage its turn comes; a second one has no such excuse. The span
   * ends with patience, lest a borrow that hangs for ever be blamed on a later outage.
   */
  #byOutage({ attempt, lease, overMs }: Tried): boolean {
    const { plan, connections } = this.#tables;
    const acquiredAt = attempt.acquiredAt as number;
    if (touches(this.#timeline.outages, acquiredAt, Math.min(overMs, acquiredAt + plan.patienceMs)))
      return true;
    if (lease < 0) return false;
    const openMs = connections.openMs.get(connections.leases.connection.get(lease));
    const beforeMs = this.#previousBorrowMs(lease);
    return this.#timeline.outages.some(
      ({ fromMs, toMs }) => toMs < acquiredAt && openMs < fromMs && beforeMs < fromMs,
    );
  }

  #previousBorrowMs(lease: number): number {
    const { leases } = this.#tables.connections;
    const previous = leases.previous.get(lease);
    return previous < 0 ? Number.NEGATIVE_INFINITY : leases.borrowMs.get(previous);
  }

  #oldBorrow({ attempt, lease }: Tried): void {
    if (lease < 0 || !this.#failed(attempt)) return;
    const { leases, openMs } = this.#tables.connections;
    const borrowMs = leases.borrowMs.get(lease);
    const openedMs = openMs.get(leases.connection.get(lease));
    this.#timeline.clusters.forEach(({ injectMs, healedMs }, n) => {
      if (healedMs === null || openedMs >= injectMs || borrowMs <= healedMs) return;
      if (this.#previousBorrowMs(lease) <= healedMs) this.oldFailed[n] = (this.oldFailed[n] as number) + 1;
    });
  }

  #failed(attempt: Attempt): boolean {
    const { engine, candidateSpec } = this.#tables.plan;
    const outcome = attemptOutcome(attempt, engine, candidateSpec.app.transaction);
    return outcome === 'failed' || outcome === 'indeterminate';
  }
}

/** The server's last words on a connection: gone, or shutting down, or timed out by it. */
const isConnectionState = (sqlState: string | null): boolean =>
  sqlState !== null && /^(08|57P0|25P0[34])/.test(sqlState);
