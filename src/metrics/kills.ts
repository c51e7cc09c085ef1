import type { Attempt, Kill, LedgerRecord } from '../ledger/record.ts';
import { round3 } from './histogram.ts';
import type { Tables } from './tables.ts';
import type { KillMetrics } from './types.ts';
import type { Waits } from './waits.ts';

export const killsMax = 500;
/** Proxy and worker stamp their own clocks' reading of the same thing. */
const clockSlackMs = 50;

interface JoinedKill {
  record: LedgerRecord & Kill;
  /** Row of the connection; null: none with that port was open. */
  connection: number | null;
  discoveredMs: number | null;
  submitsHit: number;
  blockedFromMs: number;
  blockedToMs: number | null;
}

/** What an ambient fault ended, and who noticed. Kills are told by the client's port, which is used again. */
export class Kills {
  #tables: Tables;
  #joined: JoinedKill[];
  #byConnection = new Map<number, JoinedKill>();

  constructor(tables: Tables) {
    this.#tables = tables;
    const byPort = this.#connectionsByPort();
    this.#joined = tables.kills.map(record => this.#join(record, byPort.get(record.clientPort) ?? []));
    for (const kill of this.#joined)
      if (kill.connection !== null) this.#byConnection.set(kill.connection, kill);
  }

  /** When the connection of this row was killed; Infinity: never. */
  killedMs(connection: number): number {
    return this.#byConnection.get(connection)?.record.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** An attempt was on a killed connection after the kill, and did not end well. */
  hit(connection: number, { acquiredAt, endedAt }: Attempt, line: number): void {
    const kill = this.#byConnection.get(connection) as JoinedKill;
    const { connections, lives, notes, examples } = this.#tables;
    kill.submitsHit += 1;
    examples.add('killed-under', line);
    if (kill.blockedToMs !== null) return;
    kill.blockedFromMs = Math.max(acquiredAt ?? kill.record.atMs, kill.record.atMs);
    const overMs = Math.min(lives.closingMs, notes.lastMs);
    kill.blockedToMs = Math.min(endedAt ?? overMs, connections.endMs(connection), overMs);
  }

  metrics(waits: Waits): KillMetrics[] {
    return this.#joined.slice(0, killsMax).map(kill => this.#metricsOf(kill, waits));
  }

  totals(): { kills: number; joined: number; discovered: number; submitsHit: number } {
    return {
      kills: this.#joined.length,
      joined: this.#joined.filter(kill => kill.connection !== null).length,
      discovered: this.#joined.filter(kill => kill.discoveredMs !== null).length,
      submitsHit: this.#joined.reduce((sum, kill) => sum + kill.submitsHit, 0),
    };
  }

  #metricsOf(kill: JoinedKill, waits: Waits): KillMetrics {
    const { record, connection, discoveredMs, submitsHit, blockedFromMs, blockedToMs } = kill;
    const { fault, i, how, link, clientPort, idleMs, atMs } = record;
    const { connections } = this.#tables;
    const life = connection === null ? null : connections.lifeOf(connection);
    const blocked = blockedToMs === null ? null : { fromMs: blockedFromMs, toMs: blockedToMs };
    return {
      fault,
      line: i,
      how,
      link,
      clientPort,
      idleMs,
      worker: life?.worker ?? null,
      conn: connection === null ? null : connections.conn.get(connection),
      killedMs: atMs,
      discoveredMs,
      submitsHit,
      blockedMs: blocked && round3(blocked.toMs - blocked.fromMs),
      waitersDuring: life && blocked ? waits.countIn(blocked, life.row) : 0,
    };
  }

  #connectionsByPort(): Map<number, number[]> {
    const { kills, connections } = this.#tables;
    const byPort = new Map<number, number[]>(kills.map(kill => [kill.clientPort, []]));
    if (byPort.size === 0) return byPort;
    for (let at = 0; at < connections.length; at += 1) byPort.get(connections.localPort.get(at))?.push(at);
    return byPort;
  }

  #join(record: LedgerRecord & Kill, samePort: readonly number[]): JoinedKill {
    const { connections } = this.#tables;
    const { atMs } = record;
    const open = samePort.filter(
      at => connections.startMs(at) <= atMs && connections.endMs(at) >= atMs - clockSlackMs,
    );
    const connection = open.sort((a, b) => connections.startMs(b) - connections.startMs(a))[0] ?? null;
    const discoveredMs = connection === null ? null : this.#discoveredMs(connection, atMs);
    return { record, connection, discoveredMs, submitsHit: 0, blockedFromMs: atMs, blockedToMs: null };
  }

  /**
   * Next borrow, or close. Killed while a submit was at work on it, it is discovered there and then;
   * a lease whose submit had settled (leaked, nobody looks at it) discovers nothing.
   */
  #discoveredMs(connection: number, killedMs: number): number | null {
    const { connections, submits, lives, notes } = this.#tables;
    const { leases } = connections;
    const closeMs = Math.max(connections.endMs(connection), killedMs);
    let discoveredMs =
      closeMs <= Math.min(lives.closingMs, notes.lastMs) ? closeMs : Number.POSITIVE_INFINITY;
    for (let lease = connections.lastLease.get(connection); lease >= 0; lease = leases.previous.get(lease)) {
      const borrowMs = leases.borrowMs.get(lease);
      if (borrowMs > killedMs) discoveredMs = borrowMs;
      else {
        const submit = leases.submit.get(lease);
        const settled = submit >= 0 && submits.settledMs.get(submit) <= killedMs;
        if (!settled && connections.leaseEndMs(lease) > killedMs) discoveredMs = killedMs;
        break;
      }
    }
    return Number.isFinite(discoveredMs) ? discoveredMs : null;
  }
}
