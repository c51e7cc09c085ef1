import { expect } from 'vitest';
import { settled } from '../conformance/stage.ts';
import { ping, type Row, toldOf } from './scene.ts';
import { streamRows } from './stream-rows.ts';

const holdMs = 300;

const otherRows: Row[] = [
  {
    name: 'disabled: idle connections are lost, dialing is refused; enabled: fine',
    play: async ({ stage, session, dial, told, server }) => {
      const it = await session();
      await stage.change({ enabled: false });
      const seen = { told: await told(it), dial: await dial(), server: await server(it, 'gone') };
      await stage.change({ enabled: true });
      return { ...seen, query: await it.query(ping), next: await (await session()).query(ping) };
    },
    expect: ({ lost, refused, unusable, by }) => ({
      told: by(toldOf(lost)),
      dial: refused,
      server: 'gone',
      query: unusable,
      next: 'ok',
    }),
  },
  {
    name: 'disabled during a query: rejected at once, and the server runs it to its end',
    play: async ({ stage, session, server, db, soon }) => {
      const it = await session();
      const query = it.query(db.sql.sleep(1500));
      await server(it, 'active');
      await stage.change({ enabled: false });
      const seen = { query: await soon(query, 1200), server: await db.serverSide(it.id) };
      return { ...seen, later: await server(it, 'gone') };
    },
    expect: ({ lost }) => ({ query: lost, server: 'active', later: 'gone' }),
  },
  {
    name: 'disabled with a reset_peer of toxicity 0 on it: how an idle connection ends',
    play: async ({ stage, session, told }) => {
      await stage.add('reset_peer', { timeout: 0 }, { toxicity: 0 });
      const it = await session();
      await stage.change({ enabled: false });
      return { told: (await told(it)).find(heard => heard !== 'end') };
    },
    expect: ({ lost, reset, differs }) => ({ told: differs('no-linger', reset, lost) }),
  },
  {
    name: 'reset_peer downstream during a query: the result is thrown away when it comes, not before',
    play: async ({ stage, session, server, db, tookAtLeast }) => {
      const it = await session();
      let seen = '';
      const long = await tookAtLeast(1000, async () => {
        const query = it.query(db.sql.sleep(1000));
        await server(it, 'active');
        await stage.add('reset_peer', { timeout: 0 });
        seen = await query;
      });
      return { long, query: seen };
    },
    expect: ({ lost, reset, differs }) => ({ long: true, query: differs('reset-of-live', lost, reset) }),
  },
  {
    name: 'timeout 0 downstream during a query: hangs beyond its end; removed: lost',
    play: async ({ stage, session, server, db, soon }) => {
      const it = await session();
      const query = it.query(db.sql.sleep(1000));
      await server(it, 'active');
      const toxic = await stage.add('timeout', { timeout: 0 });
      const seen = { server: await server(it, 'idle'), query: await soon(query) };
      await toxic.remove();
      return { ...seen, after: await query };
    },
    expect: ({ lost }) => ({ server: 'idle', query: 'pending', after: lost }),
  },
  {
    name: 'limit_data 1000 and a row of 5000: lost',
    play: async ({ stage, session, db, server }) => {
      const it = await session();
      await stage.add('limit_data', { bytes: 1000 });
      return { query: await it.query(db.sql.row(5000)), server: await server(it, 'gone') };
    },
    expect: ({ lost }) => ({ query: lost, server: 'gone' }),
  },
  {
    name: 'latency 100 downstream: once a query, more than once a dial',
    play: async ({ stage, session, dial, tookAtLeast }) => {
      const it = await session();
      await stage.add('latency', { latency: 100 });
      const query = await tookAtLeast(100, () => it.query(ping));
      return { query, dial: await tookAtLeast(200, dial) };
    },
    expect: () => ({ query: true, dial: true }),
  },
  {
    name: 'bandwidth 100 KB/s and a row of 50 KB',
    play: async ({ stage, session, db, tookAtLeast }) => {
      const it = await session();
      await stage.add('bandwidth', { rate: 100 });
      let seen = '';
      const long = await tookAtLeast(400, async () => {
        seen = await it.query(db.sql.row(50_000));
      });
      return { long, query: seen };
    },
    expect: () => ({ long: true, query: 'ok' }),
  },
  {
    name: 'slicer of 100 bytes and 10 ms, a row of 2000',
    play: async ({ stage, session, db, tookAtLeast }) => {
      const it = await session();
      await stage.add('slicer', { average_size: 100, size_variation: 10, delay: 10_000 });
      let seen = '';
      const long = await tookAtLeast(170, async () => {
        seen = await it.query(db.sql.row(2000));
      });
      return { long, query: seen };
    },
    expect: () => ({ long: true, query: 'ok' }),
  },
  {
    name: "the clients' own limits work in a hole, and the server's session stays",
    play: async ({ stage, session, dial, db, tookAtLeast }) => {
      const it = await session();
      await stage.add('timeout', { timeout: 0 });
      let query = '';
      const long = await tookAtLeast(200, async () => {
        query = await it.query(ping, 200);
      });
      return { query, long, server: await db.serverSide(it.id), dial: await dial({ connectTimeoutMs: 200 }) };
    },
    expect: ({ by }) => ({
      query: by({
        pg: '-: Query read timeout',
        mysql2: 'PROTOCOL_SEQUENCE_TIMEOUT: Query inactivity timeout',
      }),
      long: true,
      server: 'idle',
      dial: by({ pg: '-: timeout expired', mysql2: 'ETIMEDOUT' }),
    }),
  },
  {
    name: 'slow_close downstream: pg waits for the end, mysql2 does not',
    play: async ({ stage, session, tookAtLeast, soon, server }) => {
      const it = await session();
      await stage.add('slow_close', { delay: holdMs });
      let quick = '';
      const long = await tookAtLeast(holdMs, async () => {
        const ended = it.end().then(() => 'ended');
        quick = await soon(ended, holdMs / 2);
        await ended;
      });
      return { long, quick, server: await server(it, 'gone') };
    },
    expect: ({ by }) => ({
      long: by({ pg: true, mysql2: false }),
      quick: by({ pg: 'pending', mysql2: 'ended' }),
      server: 'gone',
    }),
  },
  {
    name: 'the proxy removed: idle connections are lost, dialing is refused',
    play: async ({ stage, session, dial, told }) => {
      const it = await session();
      await stage.remove();
      return { told: await told(it), dial: await dial() };
    },
    expect: ({ lost, refused, by }) => ({ told: by(toldOf(lost)), dial: refused }),
  },
  {
    name: 'an upstream that refuses: dialing is accepted, and lost',
    play: async ({ stage, dial }) => {
      await stage.change({ upstream: '127.0.0.1:1' });
      return { dial: await dial() };
    },
    // pg speaks first, into a connection that may be closed by then.
    expect: ({ lost, reset, by }) => ({
      dial: by<unknown>({ pg: expect.toBeOneOf([lost, reset, 'EPIPE']), mysql2: lost }),
    }),
  },
  {
    name: 'latency removed: what it held arrives, and the connection lives on',
    play: async ({ stage, session }) => {
      const it = await session();
      await stage.add('latency', { latency: 60_000 });
      const query = it.query(ping);
      await settled();
      await stage.call('DELETE', `/proxies/${stage.name}/toxics/latency_downstream`);
      return { query: await query, events: it.events };
    },
    expect: () => ({ query: 'ok', events: [] }),
  },
];

/** With the toxics of Toxiproxy. */
export const stockRows: Row[] = [...streamRows, ...otherRows];
