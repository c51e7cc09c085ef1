import type { NetworkModel } from './net/contract.ts';

/**
 * What the simulated world costs, in ms, each value with its source. They were set before the simulated and
 * the real world were compared. Where a comparison showed a cost missing it was measured on the real thing, never
 * fitted, and says so. "Measured": on two cores beside other work, PostgreSQL 18.4 from npm through the fault proxy,
 * 10th percentile to median: connect 4.3 to 7.4; SELECT 1 0.14 to 0.24, BEGIN 0.06 to 0.14, INSERT 0.17 to 0.26,
 * COMMIT 0.31 to 0.67; stop fast 15 to 68, immediate 4 to 7, SIGKILL 9 to 23. `npm run bench -- costs` measures the
 * same; with nothing else running it gave connect 4.2 to 4.6, COMMIT 0.28 to 0.39, stop fast 9 to 10.
 */

export const network: NetworkModel = {
  // Measured: BEGIN costs the server next to nothing and passes four hops, there and back.
  hopMs: { min: 0.015, max: 0.03 },
  // src/proxy/mirror.ts: redialMs.
  redialMs: 10,
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
  /** A starting server refuses until it listens, then answers 57P03: until when, from a clean stop and after a crash. */
  startMs: { listen: number; clean: number; crashed: number };
  /** wal_writer_delay: with synchronous_commit off a crash loses up to three times this. */
  walWriterDelayMs: number;
  deadlockTimeoutMs: number;
}

export const postgres: PostgresModel = {
  // Not measured by itself: the lesser part of what connecting takes.
  forkMs: { min: 1, max: 1.5 },
  // Fork and authentication together are what connect took. SCRAM on both sides, catalog reads.
  authMs: { min: 3, max: 5.5 },
  // Measured: INSERT less its hops.
  statementMs: { min: 0.05, max: 0.15 },
  // Measured: COMMIT less its hops: the flush of the log, fsync on.
  commitMs: { min: 0.2, max: 0.6 },
  // Not measured: a scheduler's turn between the flush and the answer.
  commitAnswerMs: { min: 0.01, max: 0.05 },
  // Not measured: a backend's exit.
  exitMs: 1,
  // Measured.
  stopMs: { fast: 40, immediate: 5, kill: 15 },
  // Measured past the proxy, a connect every ms (begun as 100 and 120, with the harness's own connects in it, and
  // without `listen`, which the first comparison showed missing): refused for 15 to 23, ok after 28 to 33; 137 to 154.
  startMs: { listen: 18, clean: 30, crashed: 145 },
  // PostgreSQL's documentation, 19.5 and 19.12: wal_writer_delay 200 ms, deadlock_timeout 1 s.
  walWriterDelayMs: 200,
  deadlockTimeoutMs: 1_000,
};

/**
 * An app worker's process, until its pool is open. Added after the first comparison, which showed it missing: virtual
 * workers were back while the server still started. Measured: 395 to 543 in restarts of fgscan-shift, four at once on
 * two cores. The lower bound, for one alone, was not measured.
 */
export const workerStartMs = { min: 250, max: 500 };
