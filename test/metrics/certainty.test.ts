import { describe, expect, it } from 'vitest';
import type { Attempt, Told } from '../../src/ledger/record.ts';
import { attemptOutcome, type Engine, submitOutcome } from '../../src/metrics/certainty.ts';
import { error, tried } from './hand.ts';

const answered = (sqlState: string): Partial<Attempt> => ({
  answered: true,
  tag: null,
  outcome: 'indeterminate',
  error: error({ sqlState }),
});
const died: Partial<Attempt> = { answered: false, tag: null, error: error({ code: 'ECONNRESET' }) };
const unsent: Partial<Attempt> = { ...died, commitSent: false };
/** `outcome` is the worker's own word: wrong on purpose wherever it must not be used. */
const lie: Partial<Attempt> = { outcome: 'indeterminate' };

describe('when is a failure certain: explicit transaction, PostgreSQL', () => {
  it.each<[string, Partial<Attempt>, Told]>([
    ['acked is the app’s word', { outcome: 'acked' }, 'acked'],
    ['rejected is the app’s word', { outcome: 'rejected', step: 'write' }, 'rejected'],
    [
      'write answered with a check violation',
      { ...answered('23514'), step: 'write', commitSent: false, ...lie },
      'rejected',
    ],
    [
      'write answered with a unique violation',
      { ...answered('23505'), step: 'write', commitSent: false, ...lie },
      'rejected',
    ],
    [
      'write answered with another error',
      { ...answered('42P01'), step: 'write', commitSent: false, ...lie },
      'failed',
    ],
    [
      'write answered that the server goes',
      { ...answered('57P01'), step: 'write', commitSent: false, ...lie },
      'failed',
    ],
    ['write, connection died', { ...unsent, step: 'write', ...lie }, 'failed'],
    [
      'write, 23 as a client-side code without an answer',
      { ...unsent, step: 'write', error: error({ sqlState: '23514' }), ...lie },
      'failed',
    ],
    ['acquire refused', { ...unsent, step: 'acquire', ...lie }, 'failed'],
    ['acquire timed out', { ...unsent, step: 'acquire', acquiredAt: null, ...lie }, 'failed'],
    ['begin died', { ...unsent, step: 'begin', ...lie }, 'failed'],
    ['begin answered', { ...answered('57P01'), step: 'begin', commitSent: false, ...lie }, 'failed'],
    ['COMMIT answered ROLLBACK', { tag: 'ROLLBACK', ...lie }, 'failed'],
    ['COMMIT answered COMMIT, yet not acked', { tag: 'COMMIT', ...lie }, 'indeterminate'],
    ['COMMIT answered something else', { tag: 'BEGIN', ...lie }, 'indeterminate'],
    ['COMMIT answered serialization failure', { ...answered('40001') }, 'failed'],
    ['COMMIT answered deferred constraint', { ...answered('23503') }, 'failed'],
    [
      'COMMIT answered statement completion unknown',
      { ...answered('40003'), outcome: 'failed' },
      'indeterminate',
    ],
    ['COMMIT answered connection failure', { ...answered('08006'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered by a pooler, 08P01', { ...answered('08P01'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered admin shutdown', { ...answered('57P01'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered crash shutdown', { ...answered('57P02'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered query cancelled', { ...answered('57014') }, 'failed'],
    ['COMMIT answered out of memory', { ...answered('53200'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered I/O error', { ...answered('58030'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT answered internal error', { ...answered('XX000'), outcome: 'failed' }, 'indeterminate'],
    ['COMMIT, connection died', { ...died, outcome: 'failed' }, 'indeterminate'],
    [
      'COMMIT, error with a client’s code only',
      { ...died, answered: true, outcome: 'failed' },
      'indeterminate',
    ],
    ['COMMIT not ended', { answered: false, endedAt: null, outcome: null }, 'indeterminate'],
    [
      'acquire not ended',
      { step: 'acquire', commitSent: false, endedAt: null, outcome: null },
      'indeterminate',
    ],
  ])('%s', (_, over, outcome) => {
    expect(attemptOutcome(tried(0, { outcome: null, ...over }), 'postgres', 'explicit')).toBe(outcome);
  });
});

describe('when is a failure certain: autocommit, PostgreSQL', () => {
  it.each<[string, Partial<Attempt>, Told]>([
    ['write answered with a check violation', { ...answered('23514') }, 'rejected'],
    ['write answered with an error', { ...answered('42P01') }, 'failed'],
    ['write answered admin shutdown', { ...answered('57P01') }, 'indeterminate'],
    ['write died', { ...died, outcome: 'failed' }, 'indeterminate'],
    ['write never handed over', { ...unsent }, 'failed'],
    ['acquire', { ...unsent, step: 'acquire' }, 'failed'],
  ])('%s', (_, over, outcome) => {
    const attempt = tried(0, { step: 'write', outcome: null, ...over });
    expect(attemptOutcome(attempt, 'postgres', 'autocommit')).toBe(outcome);
  });
});

describe('when is a failure certain: MySQL and MariaDB', () => {
  const errno = (n: number): Partial<Attempt> => ({
    ...answered('HY000'),
    error: error({ sqlState: 'HY000', errno: n }),
  });
  it.each<[Engine, 'explicit' | 'autocommit', number, Told]>([
    ['mysql', 'explicit', 1213, 'failed'],
    ['mysql', 'explicit', 1290, 'failed'],
    ['mysql', 'explicit', 3101, 'failed'],
    ['mysql', 'explicit', 1205, 'indeterminate'],
    ['mariadb', 'autocommit', 1205, 'failed'],
    ['mariadb', 'autocommit', 1053, 'indeterminate'],
    ['mariadb', 'autocommit', 1927, 'indeterminate'],
    ['mysql', 'autocommit', 3819, 'rejected'],
    ['mariadb', 'autocommit', 4025, 'rejected'],
  ])('%s, %s: errno %i is %s', (engine, transaction, n, outcome) => {
    const step = transaction === 'explicit' ? 'commit' : 'write';
    expect(attemptOutcome(tried(0, { step, ...errno(n) }), engine, transaction)).toBe(outcome);
  });

  it('knows no tag ROLLBACK', () => {
    expect(attemptOutcome(tried(0, { tag: 'ROLLBACK', outcome: 'failed' }), 'mysql', 'explicit')).toBe(
      'indeterminate',
    );
  });
});

describe('a submit of several attempts', () => {
  it.each<[Told, Told[], boolean, Told]>([
    ['acked', ['indeterminate', 'acked'], false, 'acked'],
    // key-table: the second attempt found the first one's key and rolled back.
    ['acked', ['indeterminate', 'failed'], false, 'acked'],
    ['failed', ['acked', 'failed'], false, 'acked'],
    ['failed', ['indeterminate', 'failed'], false, 'indeterminate'],
    ['failed', ['failed', 'failed'], false, 'failed'],
    ['indeterminate', ['failed'], false, 'failed'],
    ['rejected', ['rejected'], true, 'rejected'],
    ['rejected', ['indeterminate', 'rejected'], true, 'rejected'],
    // Unplanned: the app refuses what it should have saved.
    ['rejected', ['rejected'], false, 'failed'],
    ['failed', ['failed', 'rejected'], true, 'rejected'],
    ['failed', ['rejected'], false, 'failed'],
    ['failed', [], false, 'indeterminate'],
  ])('told %s after %j, planned rejection %s: %s', (told, attempts, planned, outcome) => {
    expect(submitOutcome(told, attempts, planned)).toBe(outcome);
  });
});
