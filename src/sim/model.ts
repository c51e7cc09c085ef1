import type { NetworkModel } from './net/contract.ts';

/**
 * What the simulated world costs, in ms, each value with its source. They were set before the simulated and
 * the real world were compared, and none was changed to make a comparison agree.
 */

export const network: NetworkModel = {
  // A write and its wake-up on an idle machine, loopback: 30 to 60 us a hop, seen with `SELECT 1` through the
  // real proxy (two hops each way, about 0.3 ms with the server's work).
  hopMs: { min: 0.03, max: 0.06 },
  bytesPerMs: null,
  // net.ipv4.tcp_wmem and tcp_rmem of Linux: send and receive buffer of loopback grow to about this.
  windowBytes: 4 * 1024 * 1024,
  // tcp(7), tcp_retries2 = 15: "about 924.6 seconds".
  retransmitGiveUpMs: 924_600,
  // tcp(7): tcp_keepalive_time, tcp_keepalive_intvl, tcp_keepalive_probes.
  keepAlive: { idleMs: 7_200_000, intervalMs: 75_000, probes: 9 },
  // libuv's uv_tcp_keepalive: TCP_KEEPINTVL 1 s, TCP_KEEPCNT 10.
  nodeKeepAlive: { intervalMs: 1_000, probes: 10 },
};

export interface PostgresModel {
  /** The postmaster forks a backend, until it reads the startup packet. */
  forkMs: { min: number; max: number };
  /** Authentication and initialisation of a backend after the password. */
  authMs: { min: number; max: number };
  /** One statement, parse to answer, without waiting. */
  statementMs: { min: number; max: number };
  /** COMMIT of a transaction that wrote: until it is durable. */
  commitMs: { min: number; max: number };
  /** From durable to the answer's leaving: whoever is killed here has committed and not said so. */
  commitAnswerMs: { min: number; max: number };
  /** A backend's exit, until its slot is free. */
  exitMs: number;
  /** `fast` and `immediate` shutdown until the server is gone, and its start until it takes connections. */
  stopMs: { fast: number; immediate: number; kill: number };
  /** How long a starting server answers 57P03, clean and after a crash (redo). */
  startMs: { clean: number; crashed: number };
  /** wal_writer_delay: with synchronous_commit off a crash loses up to three times this. */
  walWriterDelayMs: number;
  deadlockTimeoutMs: number;
}

export const postgres: PostgresModel = {
  // Loopback, PostgreSQL 18, two cores: connect with SCRAM took 10 to 14 ms quiet, most of it the client's and
  // server's PBKDF2 (4096 rounds, 2 to 4 ms each), the rest fork and catalog reads.
  forkMs: { min: 1, max: 2 },
  authMs: { min: 7, max: 11 },
  // Same machine: BEGIN, INSERT on an idle server answer within 0.1 to 0.3 ms.
  statementMs: { min: 0.1, max: 0.3 },
  // WAL flush (fsync on) on its disk: 1 to 3 ms a commit.
  commitMs: { min: 1, max: 3 },
  // The answer is sent at once after the flush: a scheduler's turn.
  commitAnswerMs: { min: 0.02, max: 0.1 },
  exitMs: 2,
  // Seen by this project's world suite: 30 to 100 ms to stop, 100 to 200 ms to start.
  stopMs: { fast: 60, immediate: 30, kill: 5 },
  startMs: { clean: 100, crashed: 150 },
  // PostgreSQL's documentation, 19.5: wal_writer_delay 200 ms; deadlock_timeout 1 s.
  walWriterDelayMs: 200,
  deadlockTimeoutMs: 1_000,
};
