import type { Clock } from '../clock.ts';
import { round3 } from '../clock.ts';
import { excludesCommit, isIntegrityError } from '../ledger/answers.ts';
import type { Attempt, ErrorFacts, Told } from '../ledger/record.ts';
import type { AppHabits, Lease, Pool } from '../pools/pool.ts';
import { connectionSurvives, errorFacts } from './errors.ts';
import type { SubmitMessage } from './protocol.ts';
import { rowValues, type Statements } from './sql.ts';

/** What an application does with its pool when a user submits: one transaction, by its habits. */
export interface App {
  trial: string;
  pool: Pool;
  habits: AppHabits;
  sql: Statements;
  clock: Clock;
  /** Counts a wait for a connection; returns a ticket to hand to `waited` when it is over. */
  waiting(): number;
  waited(ticket: number, acquired: boolean): void;
  leased(): void;
  /** Given back; `broken`: with an error, to be destroyed. */
  released(broken: boolean): void;
}

/** A submit on its way; `attempts` grows while it runs, so that it can be told of when it never ends. */
export interface OpenSubmit {
  submit: SubmitMessage;
  attempts: Attempt[];
  releaseError: ErrorFacts | null;
}

export async function runSubmit(app: App, open: OpenSubmit): Promise<Told> {
  const { retry, cancelOnPatienceMs } = app.habits;
  const goneAtMs = cancelOnPatienceMs === null ? null : app.clock.nowMs() + cancelOnPatienceMs;
  for (let n = 0; ; n += 1) {
    const attempt = newAttempt(n, app);
    open.attempts.push(attempt);
    await runAttempt(app, open, attempt, goneAtMs);
    const told = attempt.outcome ?? 'indeterminate';
    if (!retry || n >= retry.max || !mayRetry(retry.on, told)) return told;
    if (goneAtMs !== null && app.clock.nowMs() >= goneAtMs) return told;
    await app.clock.sleepMs(retry.backoffMs);
  }
}

/** `certain` repeats only what surely was not written; both leave the user's own mistakes alone. */
const mayRetry = (on: 'certain' | 'any', told: Told): boolean =>
  told === 'failed' || (told === 'indeterminate' && on === 'any');

const now = (app: App): number => round3(app.clock.nowMs());

const newAttempt = (n: number, app: App): Attempt => ({
  n,
  conn: null,
  startedAt: now(app),
  acquiredAt: null,
  releasedAt: null,
  commitSent: false,
  answered: false,
  tag: null,
  step: 'acquire',
  outcome: null,
  endedAt: null,
  error: null,
});

async function runAttempt(
  app: App,
  open: OpenSubmit,
  attempt: Attempt,
  goneAtMs: number | null,
): Promise<void> {
  let lease: Lease;
  const ticket = app.waiting();
  try {
    lease = await app.pool.acquire();
  } catch (error) {
    app.waited(ticket, false);
    return conclude(app, attempt, error);
  }
  app.waited(ticket, true);
  app.leased();
  attempt.acquiredAt = now(app);
  attempt.conn = lease.conn;
  const stopCancel = cancelWhenGone(app, lease, attempt, goneAtMs);
  try {
    await transact(app, lease, open.submit, attempt);
  } catch (error) {
    conclude(app, attempt, error);
    if (!stopCancel()) await giveBackAfter(error, app, lease, open, attempt);
    return;
  }
  if (stopCancel()) return;
  const released = giveBack(app, lease, open, attempt);
  if (released) await released;
}

async function transact(app: App, lease: Lease, submit: SubmitMessage, attempt: Attempt): Promise<void> {
  if (app.habits.transaction === 'autocommit') return autocommit(app, lease, submit, attempt);
  const keyed = app.habits.retry?.idempotency === 'key-table';
  attempt.step = 'begin';
  await lease.begin(keyed ? app.habits.retry?.lockTimeoutMs : undefined);
  attempt.step = 'write';
  if (keyed && (await alreadyDone(app, lease, submit))) return finish(app, attempt, 'acked');
  for (let row = 0; row < submit.rows; row += 1)
    await lease.query(app.sql.insertRow, rowValues(app.trial, submit, attempt.n, row));
  attempt.step = 'commit';
  attempt.commitSent = true;
  const { tag } = await lease.commit();
  attempt.answered = true;
  attempt.tag = tag;
  // An aborted transaction answers COMMIT with the tag ROLLBACK and no error.
  finish(app, attempt, tag === 'COMMIT' ? 'acked' : 'failed');
}

/** MySQL and MariaDB: the key is there. It ends the statement and not the transaction. */
const duplicateEntry = 1062;

async function alreadyDone(app: App, lease: Lease, { session, seq }: SubmitMessage): Promise<boolean> {
  const { rowCount } = await lease
    .query(app.sql.insertKey, [app.trial, session, seq])
    .catch((error: unknown) => {
      if (errorFacts(error).errno === duplicateEntry) return { rowCount: 0 };
      throw error;
    });
  if (rowCount > 0) return false;
  await lease.rollback();
  return true;
}

async function autocommit(app: App, lease: Lease, submit: SubmitMessage, attempt: Attempt): Promise<void> {
  attempt.step = 'write';
  for (let row = 0; row < submit.rows; row += 1) {
    attempt.commitSent = true;
    const { tag } = await lease.query(app.sql.insertRow, rowValues(app.trial, submit, attempt.n, row));
    attempt.tag = tag;
  }
  attempt.answered = true;
  finish(app, attempt, 'acked');
}

function finish(app: App, attempt: Attempt, outcome: Told): void {
  attempt.outcome = outcome;
  attempt.endedAt = now(app);
}

function conclude(app: App, attempt: Attempt, error: unknown): void {
  if (attempt.endedAt !== null) return;
  const facts = errorFacts(error);
  const { step, commitSent } = attempt;
  attempt.error = facts;
  attempt.answered = facts.sqlState !== null || facts.errno !== null;
  if (step === 'write' && isIntegrityError(facts)) return finish(app, attempt, 'rejected');
  const inDoubt = commitSent && !(attempt.answered && excludesCommit(step, facts));
  finish(app, attempt, inDoubt ? 'indeterminate' : 'failed');
}

function giveBack(
  app: App,
  lease: Lease,
  open: OpenSubmit,
  attempt: Attempt,
  error?: Error,
): void | Promise<void> {
  app.released(error !== undefined);
  attempt.releasedAt = now(app);
  const failed = (failure: unknown) => {
    open.releaseError = errorFacts(failure);
  };
  try {
    const released = lease.release(error);
    // Most pools release at once; a promise for each would be felt.
    if (released) return released.catch(failed);
  } catch (failure) {
    failed(failure);
  }
}

/** The habit that makes or breaks a pool: what happens to the connection after an error. */
async function giveBackAfter(
  error: unknown,
  app: App,
  lease: Lease,
  open: OpenSubmit,
  attempt: Attempt,
): Promise<void> {
  const { release } = app.habits;
  if (release === 'on-success') return;
  const alive = connectionSurvives(error);
  const rolledBack = (alive || release === 'always') && (await rollback(lease));
  const broken = release === 'with-error' && !rolledBack;
  await giveBack(app, lease, open, attempt, broken ? asError(error) : undefined);
}

const rollback = (lease: Lease): Promise<boolean> =>
  lease.rollback().then(
    () => true,
    () => false,
  );

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** Gives the connection up when the user has gone. Returns: stop watching; true when it was given up already. */
function cancelWhenGone(app: App, lease: Lease, attempt: Attempt, goneAtMs: number | null): () => boolean {
  if (goneAtMs === null) return () => false;
  let gaveUp = false;
  const stop = app.clock.after(Math.max(0, goneAtMs - app.clock.nowMs()), () => {
    gaveUp = true;
    app.released(true);
    const error = new Error('the user has gone');
    conclude(app, attempt, error);
    attempt.releasedAt = now(app);
    void Promise.resolve(lease.release(error)).catch(() => {});
  });
  return () => {
    stop();
    return gaveUp;
  };
}
