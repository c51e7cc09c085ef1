import mysql, { type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pool } from '../../src/pools/pool.ts';
import { noMariaDb } from '../fixtures/mariadb.ts';
import { type AppMariaDb, openAppMariaDb } from '../fixtures/mariadb-app.ts';
import {
  cell,
  type Meddle,
  openCutter,
  openPool,
  storedCopies,
  submit,
} from '../fixtures/mariadb-submits.ts';
import { eventually } from '../world/support.ts';

/** That a real MariaDB does what the rules of certainty take it to do. */
describe.skipIf(noMariaDb)(`certainty on a real MariaDB${noMariaDb ? ` (${noMariaDb})` : ''}`, () => {
  let db: AppMariaDb;
  let pool: Pool;
  let other: Connection;

  beforeAll(async () => {
    db = await openAppMariaDb('certainty');
    pool = await openPool(db.endpoint, { connectionLimit: 3 });
    other = await db.connect();
  });
  afterAll(() => db?.close());
  beforeEach(async () => {
    await other.query('ROLLBACK');
    await db.admin(`DELETE FROM \`${db.tables.writes}\``);
    await db.admin(`DELETE FROM \`${db.tables.keys}\``);
  });

  const insertKey = (n: number) => `INSERT INTO \`${db.tables.keys}\` VALUES ('x', ${n}, ${n})`;
  /** Another transaction holds the key, so that its insert waits. */
  const holdKey = async (n: number) => {
    await other.query('BEGIN');
    await other.query(insertKey(n));
  };
  /** Ends what the app waits for, by KILL or KILL QUERY, once it waits. */
  const killWaiting = (kill: string, info: string) =>
    eventually(async () => {
      const [row] = await db.admin(
        'SELECT id FROM information_schema.processlist WHERE user = ? AND info LIKE ? AND time_ms > 20',
        [db.endpoint.user, `${info}%`],
      );
      if (row) await db.admin(`${kill} ${row.id}`);
      return row !== undefined;
    }, `${info} waits`);
  const swallow = (work: Promise<unknown>) => work.catch(error => error as { errno?: number; code?: string });

  describe('a write inside a transaction', () => {
    it('answered with a CHECK violation (4025) is rejected, and stored never', async () => {
      const done = await submit(db, pool, 1, { valid: false });
      expect(done.attempt.error).toMatchObject({ errno: 4025, sqlState: '23000' });
      expect(done).toMatchObject({ told: 'rejected', judged: 'rejected' });
      expect(await cell(db, done, false)).toBe('refused');
    });

    it('answered with 1205 is failed: the statement is undone, the transaction lives, the app rolls it back', async () => {
      await holdKey(1);
      const meddle: Meddle = async (before, lease) => {
        if (before === 1) await lease.query(insertKey(1));
      };
      const done = await submit(db, await impatient(), 1, { meddle });
      expect(done.attempt).toMatchObject({ step: 'write', error: { errno: 1205 } });
      expect(done).toMatchObject({ told: 'failed', judged: 'failed' });
      expect(await cell(db, done)).toBe('unsaved');
    });

    it('answered with 1205 and committed all the same is torn: what came before it is still there', async () => {
      await holdKey(1);
      // An application that goes on after an error.
      const meddle: Meddle = async (before, lease) => {
        if (before !== 1) return;
        expect(await swallow(lease.query(insertKey(1)))).toMatchObject({ errno: 1205 });
        expect(await lease.commit()).toMatchObject({ tag: 'COMMIT' });
        throw new Error('and that was it');
      };
      const done = await submit(db, await impatient(), 1, { meddle });
      expect(done.judged).toBe('failed');
      expect(await cell(db, done)).toBe('torn');
    });

    it('answered with 1213 has undone the transaction, and a COMMIT after it is answered and stores nothing', async () => {
      await holdKey(1);
      let cycle: Promise<unknown> = Promise.resolve();
      const meddle: Meddle = async (before, lease) => {
        if (before !== 1) return;
        await lease.query(insertKey(2));
        // The victim is who has done less.
        for (let n = 10; n < 20; n += 1) await other.query(insertKey(n));
        cycle = other.query(insertKey(2));
        await db.rowLockWaits();
        expect(await swallow(lease.query(insertKey(1)))).toMatchObject({ errno: 1213 });
        expect(await lease.commit()).toMatchObject({ tag: 'COMMIT' });
        throw new Error('and that was it');
      };
      const done = await submit(db, pool, 1, { meddle });
      await cycle;
      expect(done.judged).toBe('failed');
      expect(await cell(db, done)).toBe('unsaved');
    });

    it.each([
      ['DDL', 'CREATE TABLE IF NOT EXISTS another (n int)'],
      ['DDL that is refused', 'CREATE TABLE mysql.another (n int)'],
      ['BEGIN, as after a dirty release,', 'BEGIN'],
    ])('%s commits what was written: torn, though COMMIT was never sent', async (_what, sql) => {
      const meddle: Meddle = async (before, lease) => {
        if (before !== 1) return;
        await swallow(lease.query(sql));
        await lease.rollback();
        throw new Error('the rest is not written');
      };
      const done = await submit(db, pool, 1, { meddle });
      expect(done.attempt.commitSent).toBe(false);
      expect(done.judged).toBe('failed');
      expect(await cell(db, done)).toBe('torn');
    });

    it.each(['wait_timeout', 'idle_transaction_timeout'])(
      'that idles over %s: the server rolls back and closes without an answer',
      async variable => {
        const slow = await openPool(db.endpoint);
        const meddle: Meddle = async (before, lease) => {
          if (before === 0) await lease.query(`SET SESSION ${variable} = 1`);
          if (before !== 1) return;
          const mine = await db.sessions();
          await eventually(async () => (await db.sessions()) < mine, 'the session is ended');
        };
        const done = await submit(db, slow, 1, { meddle });
        expect(done.attempt).toMatchObject({ step: 'write', answered: false, error: { errno: null } });
        expect(done).toMatchObject({ told: 'failed', judged: 'failed' });
        expect(await cell(db, done)).toBe('unsaved');
        await slow.close();
      },
    );
  });

  describe('COMMIT', () => {
    it.each([
      ['request', 'unsaved'],
      ['answer', 'ghost'],
    ] as const)(
      'whose %s is lost looks the same either way: indeterminate, here %s',
      async (cut, expected) => {
        const cutter = await openCutter(db.endpoint.port);
        const wired = await openPool({ ...db.endpoint, port: cutter.port });
        const before = await db.sessions();
        const meddle: Meddle = step => {
          if (step === 'commit') cutter.cut = cut;
        };
        const done = await submit(db, wired, 1, { meddle });
        expect(done.attempt).toMatchObject({ step: 'commit', commitSent: true, answered: false });
        expect(done).toMatchObject({ told: 'indeterminate', judged: 'indeterminate' });
        await eventually(async () => (await db.sessions()) <= before, 'the server has noticed');
        expect(await cell(db, done)).toBe(expected);
        cutter.close();
      },
    );

    it('handed to a connection that wait_timeout has ended is indeterminate, and stored never', async () => {
      const slow = await openPool(db.endpoint);
      const meddle: Meddle = async (before, lease) => {
        if (before === 0) await lease.query('SET SESSION wait_timeout = 1');
        if (before !== 'commit') return;
        const mine = await db.sessions();
        await eventually(async () => (await db.sessions()) < mine, 'the session is ended');
      };
      const done = await submit(db, slow, 1, { meddle });
      expect(done.attempt).toMatchObject({ step: 'commit', answered: false });
      expect(done.judged).toBe('indeterminate');
      expect(await cell(db, done)).toBe('unsaved');
      await slow.close();
    });

    it('answered with 1290, the server being read-only by now, is failed: it is rolled back', async () => {
      const meddle: Meddle = before => before === 'commit' && db.admin('SET GLOBAL read_only = 1');
      try {
        const done = await submit(db, pool, 1, { meddle });
        expect(done.attempt).toMatchObject({ step: 'commit', answered: true, error: { errno: 1290 } });
        expect(done).toMatchObject({ told: 'failed', judged: 'failed' });
        expect(await cell(db, done)).toBe('unsaved');
      } finally {
        await db.admin('SET GLOBAL read_only = 0');
      }
    });

    it.each([
      ['its lock_wait_timeout (1205)', 'lock_wait_timeout = 1', 1205, null],
      ['its max_statement_time (1969)', 'max_statement_time = 0.3', 1969, null],
      ['KILL QUERY (1317)', 'lock_wait_timeout = 60', 1317, 'KILL QUERY'],
    ])('that waits for a backup and is ended by %s is not certain', async (_what, setting, errno, kill) => {
      const own = await openPool(db.endpoint);
      const meddle: Meddle = async (before, lease) => {
        if (before === 0) await lease.query(`SET SESSION ${setting}`);
        if (before === 'commit') await other.query('FLUSH TABLES WITH READ LOCK');
      };
      const submitted = submit(db, own, 1, { meddle });
      if (kill) await killWaiting(kill, 'COMMIT');
      const done = await submitted;
      await other.query('UNLOCK TABLES');
      expect(done.attempt).toMatchObject({ step: 'commit', answered: true, error: { errno } });
      expect(done).toMatchObject({ told: 'indeterminate', judged: 'indeterminate' });
      await own.close();
    });
  });

  it('COMMIT ended by KILL QUERY may leave its transaction open, for the next BEGIN to commit', async ({
    skip,
  }) => {
    const { engine: _engine, ...login } = db.endpoint;
    const app = await mysql.createConnection(login);
    const stored = () => db.admin(`SELECT 1 FROM \`${db.tables.keys}\` WHERE seq = ?`, [tries]);
    let tries = 0;
    let killing = true;
    const killer = async () => {
      const connection = await db.connect();
      while (killing) await connection.query(`KILL QUERY ${app.threadId}`);
      connection.destroy();
    };
    const errnoOf = async (sql: string) => ((await swallow(app.query(sql))) as { errno?: number }).errno;
    const surely = async (sql: string): Promise<void> => {
      while ((await errnoOf(sql)) === 1317);
    };
    const killers = [killer(), killer(), killer()];
    do {
      tries += 1;
      if (tries > 5_000) skip('no KILL QUERY met a COMMIT');
      await surely('BEGIN');
      await surely(insertKey(tries));
    } while ((await errnoOf('COMMIT')) !== 1317);
    killing = false;
    await Promise.all(killers);
    expect(await stored()).toEqual([]);
    await surely('BEGIN');
    expect(await stored()).toHaveLength(1);
    app.destroy();
  });

  describe('a write in autocommit', () => {
    it.each([
      ['its lock_wait_timeout (1205)', 'lock_wait_timeout = 1', 1205, null, 'failed'],
      ['its max_statement_time (1969)', 'max_statement_time = 0.3', 1969, null, 'indeterminate'],
      ['KILL QUERY (1317)', 'lock_wait_timeout = 60', 1317, 'KILL QUERY', 'indeterminate'],
      ['KILL, without an answer', 'lock_wait_timeout = 60', null, 'KILL', 'indeterminate'],
    ] as const)(
      'that waits for a lock and is ended by %s is stored never',
      async (_what, setting, errno, kill, judged) => {
        const own = await openPool(db.endpoint);
        const meddle: Meddle = async (before, lease) => {
          if (before !== 0) return;
          await lease.query(`SET SESSION ${setting}`);
          await other.query(`LOCK TABLES \`${db.tables.writes}\` WRITE`);
        };
        const submitted = submit(db, own, 1, { transaction: 'autocommit', meddle });
        if (kill) await killWaiting(kill, 'INSERT');
        const done = await submitted;
        await other.query('UNLOCK TABLES');
        expect(done.attempt).toMatchObject({ step: 'write', commitSent: true, answered: errno !== null });
        expect(done.attempt.error!.errno).toBe(errno);
        expect(done).toMatchObject({ told: judged, judged });
        expect(await cell(db, done)).toBe('unsaved');
        await own.close();
      },
    );

    it('refused with 1290, the server being read-only, is failed', async () => {
      await db.admin('SET GLOBAL read_only = 1');
      try {
        const done = await submit(db, pool, 1, { transaction: 'autocommit' });
        expect(done.attempt).toMatchObject({ step: 'write', answered: true, error: { errno: 1290 } });
        expect(done).toMatchObject({ told: 'failed', judged: 'failed' });
        expect(await cell(db, done)).toBe('unsaved');
      } finally {
        await db.admin('SET GLOBAL read_only = 0');
      }
    });

    it('of two rows, the second refused: torn, for the first has committed', async () => {
      const done = await submit(db, pool, 1, { transaction: 'autocommit', valid: false });
      expect(done.judged).toBe('rejected');
      expect(await cell(db, done, false)).toBe('torn');
    });
  });

  it.each([
    ['explicit', 2],
    ['autocommit', 1],
  ] as const)(
    'whatever KILL meets, transaction %s: acked is stored, failed is not',
    async (transaction, rows) => {
      const before = await db.sessions();
      const own = await openPool(db.endpoint, { connectionLimit: 2 });
      let over = false;
      const killer = (async () => {
        for (let n = 0; !over; n += 1) {
          const ids = await db.admin('SELECT id FROM information_schema.processlist WHERE user = ?', [
            db.endpoint.user,
          ]);
          const kill = n % 4 === 0 ? 'KILL' : 'KILL QUERY';
          // It may be gone by now.
          for (const { id } of ids) await swallow(db.admin(`${kill} ${id}`));
        }
      })();
      const lane = async (from: number) => {
        const all = [];
        for (let n = from; n < 800; n += 2) all.push(await submit(db, own, n, { transaction, rows }));
        return all;
      };
      const done = (await Promise.all([lane(0), lane(1)])).flat();
      over = true;
      await killer;
      await own.close();
      await eventually(async () => (await db.sessions()) <= before, 'its sessions are over');
      const stored = await storedCopies(db);
      const wrong = done.filter(({ seq, judged }) => {
        const copies = (stored.get(seq) ?? [0, 0]).slice(0, rows);
        const whole = copies.every(count => count === 1);
        const none = copies.every(count => count === 0);
        return !(judged === 'acked' ? whole : judged === 'indeterminate' ? whole || none : none);
      });
      expect(wrong).toEqual([]);
      // It did meet something.
      expect(new Set(done.map(({ judged }) => judged)).size).toBeGreaterThan(1);
    },
  );

  async function impatient(): Promise<Pool> {
    const own = await openPool(db.endpoint);
    const lease = await own.acquire();
    await lease.query('SET SESSION innodb_lock_wait_timeout = 1');
    await lease.release();
    return own;
  }
});
