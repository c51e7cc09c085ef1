import { describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import type { AppHabits, Lease } from '../../src/pools/pool.ts';
import { type App, type OpenSubmit, runSubmit } from '../../src/worker/app.ts';
import { statements } from '../../src/worker/sql.ts';

const habits: AppHabits = {
  transaction: 'explicit',
  release: 'always',
  onPoolError: 'none',
  onClientError: 'none',
  statementTimeoutMs: null,
  retry: null,
  cancelOnPatienceMs: null,
};

const sqlError = (code: string, severity = 'ERROR') => Object.assign(new Error(code), { code, severity });
const reset = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

/** A lease that notes what is done with it; a statement fails when `fail` says so. */
function scripted(fail: (statement: string, n: number) => Error | null, commitTag = 'COMMIT') {
  const said: string[] = [];
  let borrowed = 0;
  const acquire = async (): Promise<Lease> => {
    const n = borrowed++;
    const failed = fail('ACQUIRE', n);
    if (failed) throw failed;
    const say = async (statement: string) => {
      said.push(statement);
      const error = fail(statement, n);
      if (error) throw error;
      return { tag: statement === 'COMMIT' ? commitTag : (statement.split(' ')[0] ?? ''), rowCount: 1 };
    };
    return {
      conn: n + 1,
      query: sql => say(sql.includes('keys') ? 'KEY' : 'INSERT'),
      begin: () => say('BEGIN'),
      commit: () => say('COMMIT'),
      rollback: () => say('ROLLBACK'),
      release: error => {
        said.push(error ? 'DESTROY' : 'RELEASE');
      },
    };
  };
  return { said, acquire };
}

async function submit(
  script: ReturnType<typeof scripted>,
  over: Partial<AppHabits> = {},
  leased: number[] = [],
) {
  const app: App = {
    trial: 't',
    pool: {
      acquire: script.acquire,
      gauges: () => ({ total: 0, idle: 0, waiting: 0, max: null }),
      close: async () => {},
    },
    habits: { ...habits, ...over },
    sql: statements('postgres', { writes: 'writes', keys: 'keys' }),
    clock: realClock,
    waiting: () => 0,
    waited: () => {},
    leased: () => leased.push(1),
    released: () => leased.push(-1),
  };
  const open: OpenSubmit = {
    submit: { k: 'submit', id: 1, session: 2, seq: 3, rows: 2, valid: true },
    attempts: [],
    releaseError: null,
  };
  const told = await runSubmit(app, open);
  return { told, said: script.said.join(' '), attempts: open.attempts };
}

const never = () => null;
const on = (statement: string, error: Error) => (said: string) => (said === statement ? error : null);
const once = (statement: string, error: Error) => (said: string, n: number) =>
  said === statement && n === 0 ? error : null;
const retry = { max: 1, backoffMs: 0, on: 'any', idempotency: 'none', lockTimeoutMs: 5 } as const;

describe('an app', () => {
  it('writes its rows in one transaction', async () => {
    const { told, said, attempts } = await submit(scripted(never));
    expect({ told, said }).toEqual({ told: 'acked', said: 'BEGIN INSERT INSERT COMMIT RELEASE' });
    expect(attempts).toMatchObject([
      { n: 0, conn: 1, step: 'commit', commitSent: true, answered: true, tag: 'COMMIT', error: null },
    ]);
  });

  it('takes a COMMIT that answers ROLLBACK for what it is', async () => {
    const { told, attempts } = await submit(scripted(never, 'ROLLBACK'));
    expect(told).toBe('failed');
    expect(attempts[0]).toMatchObject({ tag: 'ROLLBACK', answered: true });
  });

  it.each([
    ['a refused write', on('INSERT', sqlError('23514')), {}, 'rejected', 'BEGIN INSERT ROLLBACK RELEASE'],
    [
      'the leak: nothing after an error',
      on('INSERT', sqlError('23514')),
      { release: 'on-success' },
      'rejected',
      'BEGIN INSERT',
    ],
    [
      'with-error keeps a connection that lives',
      on('INSERT', sqlError('23514')),
      { release: 'with-error' },
      'rejected',
      'BEGIN INSERT ROLLBACK RELEASE',
    ],
    [
      'with-error destroys one that is lost',
      on('INSERT', reset()),
      { release: 'with-error' },
      'failed',
      'BEGIN INSERT DESTROY',
    ],
    [
      'with-error destroys one whose session was ended',
      on('INSERT', sqlError('57P01', 'FATAL')),
      { release: 'with-error' },
      'failed',
      'BEGIN INSERT DESTROY',
    ],
    [
      'always tries to roll back and hands it back',
      on('INSERT', reset()),
      {},
      'failed',
      'BEGIN INSERT ROLLBACK RELEASE',
    ],
    [
      'COMMIT without an answer',
      on('COMMIT', reset()),
      { release: 'with-error' },
      'indeterminate',
      'BEGIN INSERT INSERT COMMIT DESTROY',
    ],
    ['no connection', on('ACQUIRE', reset()), {}, 'failed', ''],
    [
      'no retry of a rejection',
      on('INSERT', sqlError('23514')),
      { retry },
      'rejected',
      'BEGIN INSERT ROLLBACK RELEASE',
    ],
    [
      'a retry',
      once('INSERT', reset()),
      { retry, release: 'with-error' },
      'acked',
      'BEGIN INSERT DESTROY BEGIN INSERT INSERT COMMIT RELEASE',
    ],
    [
      'no more retries than it may',
      on('INSERT', reset()),
      { retry, release: 'with-error' },
      'failed',
      'BEGIN INSERT DESTROY BEGIN INSERT DESTROY',
    ],
    [
      'certain: no retry of what may be written',
      once('COMMIT', reset()),
      { retry: { ...retry, on: 'certain' }, release: 'with-error' },
      'indeterminate',
      'BEGIN INSERT INSERT COMMIT DESTROY',
    ],
    [
      'certain: no retry of a commit that the end of the session may have overtaken',
      once('COMMIT', sqlError('57P01', 'FATAL')),
      { retry: { ...retry, on: 'certain' }, release: 'with-error' },
      'indeterminate',
      'BEGIN INSERT INSERT COMMIT DESTROY',
    ],
    ['autocommit', never, { transaction: 'autocommit' }, 'acked', 'INSERT INSERT RELEASE'],
    [
      'autocommit without an answer',
      on('INSERT', reset()),
      { transaction: 'autocommit', release: 'with-error' },
      'indeterminate',
      'INSERT DESTROY',
    ],
    [
      'a key first',
      never,
      { retry: { ...retry, idempotency: 'key-table' } },
      'acked',
      'BEGIN KEY INSERT INSERT COMMIT RELEASE',
    ],
  ] as const)('%s', async (_what, fail, over, told, said) => {
    const seen = await submit(scripted(fail), over as Partial<AppHabits>);
    expect({ told: seen.told, said: seen.said }).toEqual({ told, said });
  });

  it('counts a lease until it is given back, and a leak for ever', async () => {
    const kept: number[] = [];
    await submit(scripted(on('INSERT', sqlError('23514'))), { release: 'on-success' }, kept);
    expect(kept).toEqual([1]);
    const back: number[] = [];
    await submit(scripted(on('INSERT', sqlError('23514'))), {}, back);
    expect(back).toEqual([1, -1]);
  });
});
