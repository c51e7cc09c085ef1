import type { Cell, Outcome } from './types.ts';

/** What the table holds of a submit. `split`: whole, but by more than one transaction where one was meant. */
export const storedStates = ['never', 'once', 'twice', 'torn', 'split'] as const;
export type Stored = (typeof storedStates)[number];

/** c_i = stored copies of row i. Torn wins over twice. */
export function storedAs(
  copies: readonly number[],
  { transactions, oneTransaction }: { transactions: number; oneTransaction: boolean },
): Stored {
  const [min, max] = [Math.min(...copies), Math.max(...copies)];
  if (max === 0) return 'never';
  if (min === 0) return 'torn';
  if (max >= 2) return 'twice';
  return oneTransaction && transactions > 1 ? 'split' : 'once';
}

/** The truth table: what the user was told against what is stored. `valid` false: meant to be rejected. */
export function cellOf(outcome: Outcome, stored: Stored, valid: boolean): Cell {
  if (stored === 'torn' || stored === 'split') return 'torn';
  if (stored === 'twice') return 'duplicated';
  if (stored === 'once')
    return outcome === 'acked' ? 'fine' : outcome === 'indeterminate' ? 'ghost' : 'phantom';
  if (outcome === 'acked') return 'lost';
  // Never to be stored and not stored: whatever its user was told, nothing is missing.
  return valid ? 'unsaved' : 'refused';
}
