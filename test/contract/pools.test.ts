import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters } from '../../src/pools/load.ts';
import type { AppHabits, Endpoint, Pool, PoolAdapter } from '../../src/pools/pool.ts';
import { eventually } from '../world/support.ts';
import { type Engine, engines, type PoolServer } from './pool-servers.ts';

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

const why = ({ absent }: Engine): string => (absent === null ? '' : ` (${absent})`);

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

const onServers = Object.entries(engines).flatMap(([name, engine]) =>
  real.flatMap(([pool, adapter]) =>
    adapter.engines.includes(name as Endpoint['engine']) ? [{ name, engine, pool, adapter }] : [],
  ),
);

it('every pool with connections to hand out is tried on a real server', () => {
  expect(new Set(onServers.map(({ pool }) => pool))).toEqual(new Set(real.map(([pool]) => pool)));
});

for (const { name, engine, pool: poolName, adapter } of onServers)
  describe.skipIf(engine.absent)(`${poolName}, on a real ${name}${why(engine)}`, () => {
    let server: PoolServer;
    let seen: string[] = [];
    let pool: Pool;

    const open = (over: Partial<AppHabits> = {}, settings: object = {}, of: PoolAdapter = adapter) =>
      of.open({
        endpoint: server.endpoint,
        settings: of.settings.parse(settings),
        app: { ...habits, ...over },
        hooks: { conn: ({ conn, ev }) => seen.push(`${conn} ${ev}`) },
        clock: realClock,
      });
    const noSessions = () => eventually(async () => (await server.sessions()) === 0, 'no session is left');

    beforeAll(async () => {
      server = await engine.open();
    });
    afterAll(() => server?.close());

    it('lends a connection, tells of it, and closes everything at the end', async () => {
      seen = [];
      pool = await open();
      const lease = await pool.acquire();
      expect(seen).toEqual([`${lease.conn} opening`, `${lease.conn} open`]);
      expect(await lease.query(...engine.one)).toEqual({ tag: 'SELECT', rowCount: 1 });
      expect(pool.gauges().total).toBe(1);
      await lease.release();
      await pool.close();
      await eventually(() => seen.includes(`${lease.conn} close`), 'close is told');
      await noSessions();
    });

    it('answers with the command tag, and with what the server makes of a COMMIT after an error', async () => {
      pool = await open();
      const lease = await pool.acquire();
      expect((await lease.begin()).tag).toBe('BEGIN');
      expect((await lease.commit()).tag).toBe('COMMIT');
      await lease.begin(1000);
      await expect(lease.query(engine.broken.sql)).rejects.toMatchObject(engine.broken.error);
      expect((await lease.commit()).tag).toBe(engine.broken.commit);
      await lease.begin();
      expect((await lease.rollback()).tag).toBe('ROLLBACK');
      await lease.release();
      await pool.close();
    });

    it('keeps the lock timeout to its own transaction', async () => {
      pool = await open();
      const lease = await pool.acquire();
      const holds = async (sql: string) => expect((await lease.query(sql)).rowCount).toBe(1);
      await lease.begin(1234);
      await holds(engine.lockTimeoutIs.set);
      await lease.rollback();
      await holds(engine.lockTimeoutIs.own);
      await lease.begin(1234);
      await lease.commit();
      await lease.begin();
      await holds(engine.lockTimeoutIs.own);
      await lease.rollback();
      await lease.release();
      await pool.close();
    });

    it('sets the statement timeout that the app asks for', async () => {
      pool = await open({ statementTimeoutMs: 50 });
      const lease = await pool.acquire();
      await expect(lease.query(engine.slow.sql)).rejects.toMatchObject(engine.slow.error);
      await lease.release();
      await pool.close();
      await noSessions();
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
      await noSessions();
      await server.leaveSlots(4);
      pool = await open();
      const taken: Awaited<ReturnType<Pool['acquire']>>[] = [];
      const refused = async () => {
        for (let n = 0; n < 6; n += 1) taken.push(await pool.acquire());
      };
      await expect(refused()).rejects.toMatchObject(engine.refused);
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
