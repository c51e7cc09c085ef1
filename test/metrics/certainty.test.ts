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
  const both: Engine[] = ['mariadb', 'mysql'];
  /** The rule's own lists, written again: an answer to COMMIT is doubted unless it is known to say no ... */
  const certainAtCommit = [1213, 1290, 3101];
  const doubtedAtCommit = [1020, 1030, 1053, 1105, 1180, 1205, 1317, 1927, 1969, 2013, 4031];
  /** ... and one to a write in autocommit is believed unless it may come after the commit. */
  const certainAlone = [1020, 1040, 1146, 1205, 1213, 1290, 1366, 1836];
  const doubtedAlone = [1053, 1180, 1317, 1927, 1969, 4031];
  const integrity = [1062, 1452, 3819, 4025];

  it.each<[Attempt['step'], 'explicit' | 'autocommit', number[], Told]>([
    ['commit', 'explicit', certainAtCommit, 'failed'],
    ['commit', 'explicit', [...doubtedAtCommit, ...integrity], 'indeterminate'],
    ['write', 'autocommit', certainAlone, 'failed'],
    ['write', 'autocommit', doubtedAlone, 'indeterminate'],
    ['write', 'autocommit', integrity, 'rejected'],
    ['write', 'explicit', integrity, 'rejected'],
    // COMMIT was never sent, so it is certain whatever was answered.
    ['write', 'explicit', [...certainAlone, ...doubtedAlone, ...doubtedAtCommit], 'failed'],
    ['begin', 'explicit', [...certainAlone, ...doubtedAtCommit], 'failed'],
    ['acquire', 'explicit', [1040, 1203, 1226, 1045], 'failed'],
  ])('%s answered, %s: %j is %s', (step, transaction, errnos, outcome) => {
    const commitSent = step === 'commit' || transaction === 'autocommit';
    for (const engine of both)
      for (const n of errnos) {
        const attempt = tried(0, { step, ...errno(n), commitSent, outcome: null });
        expect([engine, n, attemptOutcome(attempt, engine, transaction)]).toEqual([engine, n, outcome]);
      }
  });

  it.each<[Attempt['step'], 'explicit' | 'autocommit', boolean, Told]>([
    ['commit', 'explicit', true, 'indeterminate'],
    ['write', 'autocommit', true, 'indeterminate'],
    ['write', 'autocommit', false, 'failed'],
    ['write', 'explicit', false, 'failed'],
    ['begin', 'explicit', false, 'failed'],
    ['acquire', 'explicit', false, 'failed'],
  ])('%s without an answer, %s, handed over %s: %s', (step, transaction, commitSent, outcome) => {
    const lost = error({ code: 'PROTOCOL_CONNECTION_LOST' });
    const attempt = tried(0, { ...died, error: lost, step, commitSent, outcome: null });
    for (const engine of both) expect(attemptOutcome(attempt, engine, transaction)).toBe(outcome);
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
