import { excludesCommit, isIntegrityError } from '../ledger/answers.ts';
import type { Attempt, Told } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';

/**
 * When is a failure certain? `acked` and `rejected` are what the app told its user; every other ending is
 * derived from where the attempt failed and what the server said, never from message texts.
 */
export type Engine = Plan['engine'];
type Transaction = Plan['candidateSpec']['app']['transaction'];

type Ending = Pick<Attempt, 'step' | 'commitSent' | 'answered' | 'tag' | 'outcome' | 'endedAt' | 'error'>;

export function attemptOutcome(attempt: Ending, engine: Engine, transaction: Transaction): Told {
  const { step, commitSent, outcome, endedAt, error, answered } = attempt;
  if (outcome === 'acked' || outcome === 'rejected') return outcome;
  if (endedAt === null) return 'indeterminate';
  if (step === 'write' && answered && error && isIntegrityError(error)) return 'rejected';
  if (step === 'acquire' || step === 'begin') return 'failed';
  // In autocommit the write is the commit: commitSent says whether it was handed over.
  if (step === 'write' && (transaction === 'explicit' || !commitSent)) return 'failed';
  return saysNo(attempt, engine) ? 'failed' : 'indeterminate';
}

/** The server answered the commit, and the answer excludes that it committed. */
function saysNo({ step, answered, tag, error }: Ending, engine: Engine): boolean {
  if (!answered) return false;
  if (!error) return engine === 'postgres' && tag === 'ROLLBACK';
  return excludesCommit(step, error);
}

/** The submit as a whole, after the app's own retries. `planned`: it was meant to be rejected. */
export function submitOutcome(
  told: Told,
  attempts: readonly Told[],
  planned: boolean,
): 'acked' | 'rejected' | 'failed' | 'indeterminate' {
  if (told === 'acked' || attempts.includes('acked')) return 'acked';
  // What the user was told stands, even if an earlier attempt ended in doubt: the table shows what it did.
  if (told === 'rejected') return planned ? 'rejected' : 'failed';
  if (attempts.includes('indeterminate')) return 'indeterminate';
  if (attempts.at(-1) === 'rejected' && planned) return 'rejected';
  // No attempt to judge by: the app's word is all there is, and only "indeterminate" is safe to believe.
  return attempts.length === 0 ? 'indeterminate' : 'failed';
}
