import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters, loadAdapter } from '../../src/pools/load.ts';
import type { AppHabits, Pool } from '../../src/pools/pool.ts';
import { type FromWorker, protocolVersion, type ReadyMessage } from '../../src/worker/protocol.ts';
import { AppWorker } from '../../src/worker/worker.ts';
import { noMariaDb } from '../fixtures/mariadb.ts';
import { type AppMariaDb, openAppMariaDb } from '../fixtures/mariadb-app.ts';
import { habits, openPool, storedCopies, submit } from '../fixtures/mariadb-submits.ts';
import { eventually } from '../world/support.ts';

const keyTable: Partial<AppHabits> = {
  retry: { max: 0, backoffMs: 0, on: 'any', idempotency: 'key-table', lockTimeoutMs: 1000 },
};

/** The key table of an app worker, on a real MariaDB. */
describe.skipIf(noMariaDb)(`a key table on MariaDB${noMariaDb ? ` (${noMariaDb})` : ''}`, () => {
  let db: AppMariaDb;
  let pool: Pool;
  let other: Connection;

  beforeAll(async () => {
    db = await openAppMariaDb('keys');
    pool = await openPool(db.endpoint);
    other = await db.connect();
  });
  afterAll(() => db?.close());

  const copies = async (seq: number) => (await storedCopies(db)).get(seq) ?? [0, 0];
  /** Another transaction has the key of a submit and does not end. */
  const holdKey = async (seq: number) => {
    await other.query('BEGIN');
    await other.query(`INSERT INTO \`${db.tables.keys}\` VALUES ('t', 0, ?)`, [seq]);
  };

  it('is written by a worker from its first word to its last', async () => {
    const said: FromWorker[] = [];
    const worker = new AppWorker({
      clock: realClock,
      channel: { send: message => void said.push(message), flush: () => {} },
      adapter: loadAdapter,
      vitals: () => ({ loopDelayP99Ms: null, rssBytes: null, cpuMs: null }),
      beats: false,
      exit: () => {},
    });
    const { endpoint, tables } = db;
    const app = { ...habits, ...keyTable };
    const settings = adapters['mysql2-pool']!.settings.parse({});
    const who = { trial: 't', worker: 0, life: 1, pool: 'mysql2-pool', sampleMs: 1000 };
    worker.hear({ k: 'open', v: protocolVersion, ...who, endpoint, tables, settings, app });
    const heard = (k: string) => eventually(() => said.some(message => message.k === k), k);
    await heard('ready');
    worker.hear({ k: 'submit', id: 1, session: 1, seq: 100, rows: 2, valid: true });
    await heard('settled');
    worker.hear({ k: 'close', deadlineMs: 5000 });
    await heard('closed');
    const { versions } = said.find(({ k }) => k === 'ready') as ReadyMessage;
    expect(versions).toMatchObject({ mysql2: expect.stringMatching(/^3\./) });
    const attempt = { step: 'commit', commitSent: true, answered: true, tag: 'COMMIT', error: null };
    expect(said.find(({ k }) => k === 'settled')).toMatchObject({ outcome: 'acked', attempts: [attempt] });
    expect(await copies(100)).toEqual([1, 1]);
  });

  it('stores a submit that comes again once, and acks it', async () => {
    expect((await submit(db, pool, 1, keyTable)).told).toBe('acked');
    const again = await submit(db, pool, 1, keyTable);
    expect(again).toMatchObject({ told: 'acked', attempt: { step: 'write', commitSent: false } });
    expect(await copies(1)).toEqual([1, 1]);
  });

  it('waits for a transaction that has the key: done, when it commits', async () => {
    await holdKey(2);
    const submitted = submit(db, pool, 2, keyTable);
    await db.rowLockWaits();
    await other.query('COMMIT');
    expect(await submitted).toMatchObject({ told: 'acked', attempt: { commitSent: false } });
    expect(await copies(2)).toEqual([0, 0]);
  });

  it('waits for a transaction that has the key: not done, when it rolls back', async () => {
    await holdKey(3);
    const submitted = submit(db, pool, 3, keyTable);
    await db.rowLockWaits();
    await other.query('ROLLBACK');
    expect(await submitted).toMatchObject({ told: 'acked', attempt: { commitSent: true } });
    expect(await copies(3)).toEqual([1, 1]);
  });

  it('fails with 1205 when it has waited long enough', async () => {
    await holdKey(4);
    const done = await submit(db, pool, 4, keyTable);
    await other.query('ROLLBACK');
    expect(done).toMatchObject({ told: 'failed', attempt: { step: 'write', error: { errno: 1205 } } });
    expect(await copies(4)).toEqual([0, 0]);
  });

  it('has a key of its own for what INSERT IGNORE would take for another, or for nothing', async () => {
    const ignored = `INSERT IGNORE INTO \`${db.tables.keys}\` VALUES ('t', 'no number', 99999999999)`;
    const [{ affectedRows }] = (await other.query(ignored)) as unknown as [{ affectedRows: number }];
    // It says that it has inserted the key. It has not: not this one.
    expect(affectedRows).toBe(1);
    expect(await db.admin(`SELECT seq FROM \`${db.tables.keys}\` WHERE seq = 99999999999`)).toEqual([]);
  });

  it('cannot tell by ON DUPLICATE KEY UPDATE, since mysql2 counts found rows', async () => {
    const sql = `INSERT INTO \`${db.tables.keys}\` VALUES ('t', 7, 7) ON DUPLICATE KEY UPDATE seq = seq`;
    const rows = async () =>
      ((await other.query(sql)) as unknown as [{ affectedRows: number }])[0].affectedRows;
    expect([await rows(), await rows()]).toEqual([1, 1]);
  });
});
