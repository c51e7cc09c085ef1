import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters } from '../../src/pools/load.ts';
import type { AppHabits, Pool, PoolAdapter } from '../../src/pools/pool.ts';
import { eventually, openTestWorld, type TestWorld, trial } from '../world/support.ts';

const habits: AppHabits = {
  transaction: 'explicit',
  release: 'always',
  onPoolError: 'listen',
  onClientError: 'listen',
  statementTimeoutMs: null,
  retry: null,
  cancelOnPatienceMs: null,
};

const all = Object.entries(adapters);
/** Those that have connections to hand out. */
const real = all.filter(([, adapter]) => adapter.max(adapter.settings.parse({})) !== 0);

describe.each(all)('%s, as a description', (name, adapter) => {
  it('goes by its registered name and says what it is', () => {
    expect(adapter.name).toBe(name);
    expect(adapter.summary.length).toBeGreaterThan(10);
    expect(adapter.engines.length).toBeGreaterThan(0);
  });

  it('has defaults for every setting, and refuses unknown ones', () => {
    expect(adapter.settings.safeParse({}).success).toBe(true);
    expect(adapter.settings.safeParse({ noSuchKnob: 1 }).success).toBe(false);
  });

  it('says of each setting how it scales', () => {
    expect(Object.keys(adapter.knobs).sort()).toEqual(Object.keys(adapter.settings.shape).sort());
  });

  it('names the versions of what it stands on', () => {
    for (const version of Object.values(adapter.versions())) expect(version).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe.each(real)('%s, on a real server', (_name, adapter) => {
  let test: TestWorld;
  let seen: string[] = [];
  let pool: Pool;

  const open = (over: Partial<AppHabits> = {}, settings: object = {}, of: PoolAdapter = adapter) =>
    of.open({
      endpoint: test.world.endpoint,
      settings: of.settings.parse(settings),
      app: { ...habits, ...over },
      hooks: { conn: ({ conn, ev }) => seen.push(`${conn} ${ev}`) },
      clock: realClock,
    });

  beforeAll(async () => {
    test = await openTestWorld();
    await test.world.sideDoor.createTables(trial);
  });
  afterAll(() => test.close());

  it('lends a connection, tells of it, and closes everything at the end', async () => {
    seen = [];
    pool = await open();
    const lease = await pool.acquire();
    expect(seen).toEqual([`${lease.conn} opening`, `${lease.conn} open`]);
    expect(await lease.query('SELECT $1::int AS n', [1])).toEqual({ tag: 'SELECT', rowCount: 1 });
    expect(pool.gauges().total).toBe(1);
    await lease.release();
    await pool.close();
    await eventually(() => seen.includes(`${lease.conn} close`), 'close is told');
    await eventually(async () => (await test.world.sideDoor.sessions()).sessions === 0, 'no session is left');
  });

  it('answers with the command tag, ROLLBACK for a COMMIT that was none', async () => {
    pool = await open();
    const lease = await pool.acquire();
    expect((await lease.begin()).tag).toBe('BEGIN');
    expect((await lease.commit()).tag).toBe('COMMIT');
    await lease.begin(1000);
    await expect(lease.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012', severity: 'ERROR' });
    expect((await lease.commit()).tag).toBe('ROLLBACK');
    await lease.begin();
    expect((await lease.rollback()).tag).toBe('ROLLBACK');
    await lease.release();
    await pool.close();
  });

  it('keeps the lock timeout to its own transaction', async () => {
    pool = await open();
    const lease = await pool.acquire();
    await lease.begin(1234);
    await lease.query("SELECT 1 / (current_setting('lock_timeout') = '1234ms')::int");
    await lease.rollback();
    await lease.query("SELECT 1 / (current_setting('lock_timeout') = '0')::int");
    await lease.release();
    await pool.close();
  });

  it('sets the statement timeout that the app asks for', async () => {
    pool = await open({ statementTimeoutMs: 50 });
    const lease = await pool.acquire();
    await expect(lease.query('SELECT pg_sleep(5)')).rejects.toMatchObject({ code: '57014' });
    await lease.release();
    await pool.close();
  });

  it('destroys what is released with an error', async () => {
    seen = [];
    pool = await open();
    const lease = await pool.acquire();
    await lease.release(new Error('broken'));
    await eventually(() => seen.includes(`${lease.conn} close`), 'it is closed');
    const next = await pool.acquire();
    expect(next.conn).not.toBe(lease.conn);
    await next.release();
    await pool.close();
  });

  it('fails with the error of the server that is full', async () => {
    await eventually(
      async () => (await test.world.sideDoor.sessions()).sessions === 0,
      'the others are gone',
    );
    pool = await open();
    const taken: Awaited<ReturnType<Pool['acquire']>>[] = [];
    const refused = async () => {
      for (let n = 0; n < 6; n += 1) taken.push(await pool.acquire());
    };
    await expect(refused()).rejects.toMatchObject({ code: '53300' });
    expect(taken).toHaveLength(4);
    for (const lease of taken) await lease.release();
    await pool.close();
  });
});

describe('null-pool', () => {
  it('fails every acquire', async () => {
    const pool = await adapters['null-pool']!.open({} as Parameters<PoolAdapter['open']>[0]);
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'NULL_POOL' });
  });
});
