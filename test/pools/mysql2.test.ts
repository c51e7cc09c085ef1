import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters } from '../../src/pools/load.ts';
import type { AppHabits, Pool, PoolHooks } from '../../src/pools/pool.ts';
import { noMariaDb } from '../fixtures/mariadb.ts';
import { type AppMariaDb, openAppMariaDb } from '../fixtures/mariadb-app.ts';
import { eventually } from '../world/support.ts';

const adapter = adapters['mysql2-pool']!;

describe('the settings of mysql2-pool', () => {
  it.each([
    [{ connectionLimit: 1001 }, false],
    [{ connectionLimit: -1 }, false],
    [{ connectionLimit: 0, maxIdle: 0, queueLimit: 0, idleTimeout: 0, connectTimeout: 0 }, true],
    [{ connectTimeout: 86_400_001 }, false],
    [{ idleTimeout: 1.5 }, false],
    [{ enableKeepAlive: 'yes' }, false],
    [{ acquireTimeout: 1000 }, false],
  ])('%j is right: %s', (settings, right) => {
    expect(adapter.settings.safeParse(settings).success).toBe(right);
  });

  it.each([
    [{}, null],
    [{ maxIdle: 10 }, null],
    [{ maxIdle: 9 }, 1000],
    [{ connectionLimit: 20, maxIdle: 5 }, 1000],
  ])('%j has a reaper of %s ms: it runs for a maxIdle under the limit only', (settings, stepMs) => {
    expect(adapter.reaperMs!(adapter.settings.parse(settings))).toBe(stepMs);
  });

  it('knows no acquire timeout, and no bound without a limit', () => {
    const of = (settings: object) => adapter.settings.parse(settings);
    expect(adapter.acquireTimeoutMs(of({}))).toBeNull();
    expect([adapter.max(of({})), adapter.max(of({ connectionLimit: 0 }))]).toEqual([10, null]);
  });
});

const habits: AppHabits = {
  transaction: 'explicit',
  release: 'always',
  onPoolError: 'none',
  onClientError: 'none',
  statementTimeoutMs: null,
  retry: null,
  cancelOnPatienceMs: null,
};

describe.skipIf(noMariaDb)(`mysql2 on a real MariaDB${noMariaDb ? ` (${noMariaDb})` : ''}`, () => {
  let db: AppMariaDb;
  let told: Parameters<PoolHooks['conn']>[0][] = [];

  const open = async (
    settings: object = {},
    over: Partial<AppHabits> = {},
    by = adapter,
    to: object = {},
  ): Promise<Pool> => {
    const mine: typeof told = [];
    told = mine;
    return by.open({
      endpoint: { ...db.endpoint, ...to },
      settings: by.settings.parse(settings),
      app: { ...habits, ...over },
      hooks: { conn: event => void mine.push(event) },
      clock: realClock,
    });
  };
  const ended = (conn: number) =>
    eventually(() => told.some(event => event.conn === conn && event.ev === 'close'), `${conn} is closed`);
  const backendOf = (conn: number) => told.find(event => event.conn === conn && event.ev === 'open')!.backend;

  beforeAll(async () => {
    db = await openAppMariaDb('pool');
  });
  afterAll(() => db?.close());

  it('tells of a connection what the server and the wire call it', async () => {
    const pool = await open();
    const lease = await pool.acquire();
    const { backend, localPort } = told.find(({ ev }) => ev === 'open')!;
    const rows = await db.admin('SELECT host FROM information_schema.processlist WHERE id = ?', [backend]);
    expect(rows).toEqual([{ host: `127.0.0.1:${localPort}` }]);
    await lease.release();
    await pool.close();
  });

  it('tells of a connection that did not come about, and why', async () => {
    // Nothing listens on port 1.
    const pool = await open({}, {}, adapter, { port: 1 });
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await ended(1);
    expect(told).toEqual([
      { conn: 1, ev: 'opening' },
      { conn: 1, ev: 'close', why: 'ECONNREFUSED' },
    ]);
    expect(pool.gauges()).toEqual({ total: 0, idle: 0, waiting: 0, max: 10 });
    await pool.close();
  });

  it('counts what waits, and refuses beyond its queue limit', async () => {
    const pool = await open({ connectionLimit: 1, queueLimit: 1 });
    const lease = await pool.acquire();
    const waiting = pool.acquire();
    expect(pool.gauges()).toEqual({ total: 1, idle: 0, waiting: 1, max: 1 });
    await expect(pool.acquire()).rejects.toThrow('Queue limit reached');
    await lease.release();
    const next = await waiting;
    expect(next.conn).toBe(lease.conn);
    await next.release();
    expect(pool.gauges()).toEqual({ total: 1, idle: 1, waiting: 0, max: 1 });
    await pool.close();
  });

  it.each(['idle', 'borrowed', 'busy'] as const)(
    'that loses a connection, %s: no crash, and another one next',
    async when => {
      const pool = await open({ connectionLimit: 1 });
      const lease = await pool.acquire();
      if (when === 'idle') await lease.release();
      const busy = when === 'busy' ? lease.query('SELECT SLEEP(30)') : null;
      const failed = busy && expect(busy).rejects.toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
      await db.admin(`KILL ${backendOf(lease.conn)}`);
      await ended(lease.conn);
      await failed;
      if (when !== 'idle') {
        await expect(lease.rollback()).rejects.toThrow('closed state');
        await lease.release();
      }
      const next = await pool.acquire();
      expect(next.conn).not.toBe(lease.conn);
      expect(await next.query('SELECT 1')).toMatchObject({ rowCount: 1 });
      await next.release();
      await pool.close();
    },
  );

  it.each([
    [{ connectionLimit: 2, maxIdle: 1, idleTimeout: 100 }, 0],
    [{ connectionLimit: 2, maxIdle: 1 }, 1],
  ])('reaps with %j down to %i', async (settings, left) => {
    const pool = await open(settings);
    const leases = [await pool.acquire(), await pool.acquire()];
    for (const lease of leases) await lease.release();
    expect(pool.gauges().total).toBe(2);
    await eventually(() => pool.gauges().total === left, 'the reaper came');
    await pool.close();
  });

  it('gives up a statement, not its connection: what follows waits behind it', async () => {
    const pool = await open({ connectionLimit: 1 }, { statementTimeoutMs: 50 });
    const lease = await pool.acquire();
    await lease.begin();
    const from = realClock.nowMs();
    await expect(lease.query('SELECT SLEEP(0.5)')).rejects.toMatchObject({
      code: 'PROTOCOL_SEQUENCE_TIMEOUT',
    });
    expect((await lease.rollback()).tag).toBe('ROLLBACK');
    expect(realClock.nowMs() - from).toBeGreaterThan(450);
    await lease.release();
    await pool.close();
  });

  it.each([
    [{}, 2],
    [{ resetOnRelease: true }, 1],
  ])('lends a connection as it was released, transaction and all: %j', async (settings, stored) => {
    await db.admin(`DELETE FROM \`${db.tables.keys}\``);
    const pool = await open({ connectionLimit: 1, ...settings });
    const write = (n: number) => `INSERT INTO \`${db.tables.keys}\` VALUES ('x', ${n}, ${n})`;
    const dirty = await pool.acquire();
    await dirty.begin();
    await dirty.query(write(1));
    await dirty.release();
    const next = await pool.acquire();
    // Commits what it found.
    await next.begin();
    await next.query(write(2));
    await next.commit();
    await next.release();
    expect(await db.admin(`SELECT seq FROM \`${db.tables.keys}\``)).toHaveLength(stored);
    await pool.close();
  });

  it('without a pool: every lease a connection, gone when it is given back', async () => {
    const pool = await open({}, {}, adapters['mysql2-connect-per-submit']!);
    const [one, two] = [await pool.acquire(), await pool.acquire()];
    expect(pool.gauges()).toEqual({ total: 2, idle: 0, waiting: 0, max: null });
    await one.release();
    await two.release(new Error('broken'));
    await ended(two.conn);
    await eventually(() => pool.gauges().total === 0, 'both are gone');
    await pool.close();
  });
});
