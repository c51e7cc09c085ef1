import { expect } from 'vitest';
import { realClock } from '../../../src/clock.ts';
import { settled, streams } from '../conformance/stage.ts';
import type { Session } from './engines.ts';
import { ping, type Row, type Scene, toldOf, type Words } from './scene.ts';

const holdMs = 300;

/** What a reset idle connection tells its owner. */
const resetToldOf = ({ reset, lost }: Words) => ({ pg: [reset, lost, 'end'], mysql2: [reset] });

const endings = ['fin', 'rst'] as const;
const toldHow = (how: 'fin' | 'rst', is: Words) =>
  is.by<string[]>(how === 'fin' ? toldOf(is.lost) : resetToldOf(is));

/** The connections of the proxy, by the client's port. */
async function connectionOf({ stage }: Scene, port: number): Promise<string> {
  const path = `/proxies/${stage.name}/connections`;
  const all = (await stage.call('GET', path)) as unknown as { id: number; clientPort: number }[];
  return `${path}/${all.find(({ clientPort }) => clientPort === port)!.id}`;
}

const idleRows: Row[] = [
  ...endings.map(
    (how): Row => ({
      name: `idle_timeout ${how}: told when it happens`,
      play: async ({ stage, session, told, server, tookAtLeast }) => {
        let it: Session | undefined;
        let heard: string[] = [];
        const long = await tookAtLeast(holdMs, async () => {
          it = await session();
          await stage.add('idle_timeout', { timeout: holdMs, how });
          heard = await told(it);
        });
        return { long, told: heard, server: await server(it!, 'gone'), query: await it!.query(ping) };
      },
      expect: is => ({ long: true, told: toldHow(how, is), server: 'gone', query: is.unusable }),
    }),
  ),
  {
    name: 'idle_timeout drop: nobody is told, a query hangs until it is given up, the server keeps its session',
    play: async ({ stage, session, soon, server }) => {
      const it = await session();
      await stage.add('idle_timeout', { timeout: 50, how: 'drop', giveUp: holdMs });
      await settled(150);
      const silent = [...it.events];
      const query = it.query(ping);
      const seen = { silent, soon: await soon(query), query: await query };
      return { ...seen, server: await server(it, 'idle') };
    },
    expect: ({ reset }) => ({ silent: [], soon: 'pending', query: reset, server: 'idle' }),
  },
  {
    name: 'idle_timeout spares what is used',
    play: async ({ stage, session }) => {
      const it = await session();
      await stage.add('idle_timeout', { timeout: 800, how: 'rst' });
      const seen = new Set<string>();
      for (let n = 0; n < 12; n += 1) {
        seen.add(await it.query(ping));
        await realClock.sleepMs(90);
      }
      return { seen: [...seen], events: it.events };
    },
    expect: () => ({ seen: ['ok'], events: [] }),
  },
];

const endRows: Row[] = endings.flatMap((how): Row[] => [
  {
    name: `reset ${how}: idle connections are told at once, new ones are fine`,
    play: async ({ stage, session, told, server, dial }) => {
      const it = await session();
      await stage.add('reset', { how });
      return { told: await told(it), server: await server(it, 'gone'), dial: await dial() };
    },
    expect: is => ({ told: toldHow(how, is), server: 'gone', dial: 'ok' }),
  },
  {
    name: `reset ${how} during a query: rejected at once, and the server runs it to its end`,
    play: async ({ stage, session, soon, server, db }) => {
      const it = await session();
      const query = it.query(db.sql.sleep(1500));
      await server(it, 'active');
      await stage.add('reset', { how });
      const seen = { query: await soon(query, 1200), server: await db.serverSide(it.id) };
      return { ...seen, later: await server(it, 'gone') };
    },
    expect: ({ lost, reset }) => ({ query: how === 'fin' ? lost : reset, server: 'active', later: 'gone' }),
  },
  {
    name: `a connection ended by the API, ${how}: that one only`,
    play: async scene => {
      const [it, other] = [await scene.session(), await scene.session()];
      await scene.stage.call('DELETE', `${await connectionOf(scene, it.port)}?how=${how}`);
      return { told: await scene.told(it), other: await other.query(ping) };
    },
    expect: is => ({ told: toldHow(how, is), other: 'ok' }),
  },
  {
    name: `lifetime ${how}: busy or not, that long after the dial`,
    play: async ({ stage, session, tookAtLeast, server }) => {
      let it: Session | undefined;
      const seen: string[] = [];
      const long = await tookAtLeast(holdMs, async () => {
        it = await session();
        seen.push(await it.query(ping));
        await stage.add('lifetime', { timeout: holdMs, how });
        while (seen.at(-1) === 'ok' && it.events.length === 0) {
          seen.push(await it.query(ping));
          await realClock.sleepMs(20);
        }
      });
      return { long, first: seen[0], server: await server(it!, 'gone') };
    },
    expect: () => ({ long: true, first: 'ok', server: 'gone' }),
  },
  {
    name: `accept_then_close ${how}: dialing fails, open connections live on`,
    play: async ({ stage, session, dial }) => {
      const it = await session();
      const toxic = await stage.add('accept_then_close', { how });
      const seen = { dial: await dial(), open: await it.query(ping) };
      await toxic.remove();
      return { ...seen, healed: await dial() };
    },
    expect: ({ lost, reset, by }) => ({
      // pg speaks first, into a connection that may be closed by then.
      dial:
        how === 'rst' ? reset : by<unknown>({ pg: expect.toBeOneOf([lost, reset, 'EPIPE']), mysql2: lost }),
      open: 'ok',
      healed: 'ok',
    }),
  },
]);

const holeRows: Row[] = streams.flatMap((stream): Row[] => [
  {
    name: `${stream} blackhole: a query hangs and goes on when it leaves`,
    play: async ({ stage, session, soon }) => {
      const it = await session();
      const toxic = await stage.add('blackhole', {}, { stream });
      const query = it.query(ping);
      const seen = await soon(query);
      await toxic.remove();
      return { seen, query: await query, again: await it.query(ping), events: it.events };
    },
    expect: () => ({ seen: 'pending', query: 'ok', again: 'ok', events: [] }),
  },
  {
    name: `${stream} blackhole: a dial hangs and goes on when it leaves`,
    play: async ({ stage, dial, soon }) => {
      const toxic = await stage.add('blackhole', {}, { stream });
      const dialing = dial();
      const seen = await soon(dialing);
      await toxic.remove();
      return { seen, dial: await dialing };
    },
    expect: () => ({ seen: 'pending', dial: 'ok' }),
  },
]);

const newRows: Row[] = [
  {
    name: 'refuse: dialing is refused, open connections live on; removed: fine',
    play: async ({ stage, session, dial }) => {
      const it = await session();
      const toxic = await stage.add('refuse');
      const seen = { dial: await dial(), open: await it.query(ping) };
      await toxic.remove();
      return { ...seen, healed: await dial() };
    },
    expect: ({ refused }) => ({ dial: refused, open: 'ok', healed: 'ok' }),
  },
  {
    name: 'connect_delay: a dial takes that long',
    play: async ({ stage, dial, tookAtLeast }) => {
      await stage.add('connect_delay', { delay: holdMs });
      return { long: await tookAtLeast(holdMs, dial), limit: await dial({ connectTimeoutMs: holdMs / 3 }) };
    },
    expect: ({ by }) => ({ long: true, limit: by({ pg: '-: timeout expired', mysql2: 'ETIMEDOUT' }) }),
  },
  {
    name: 'nth request of 3',
    play: async ({ stage, session }) => {
      const it = await session();
      await stage.add('nth', { n: 3, what: 'request' });
      const seen: string[] = [];
      for (let n = 0; n < 3; n += 1) seen.push(await it.query(ping));
      return { seen };
    },
    expect: ({ reset }) => ({ seen: ['ok', 'ok', reset] }),
  },
  {
    name: 'nth connection of 2',
    play: async ({ stage, dial }) => {
      await stage.add('nth', { n: 2, what: 'connection' });
      return { seen: [await dial(), await dial(), await dial(), await dial()] };
    },
    expect: ({ reset }) => ({ seen: ['ok', reset, 'ok', reset] }),
  },
  {
    name: 'select oldest: one connection falls, the others live on',
    play: async ({ stage, session, told }) => {
      const [oldest, middle, newest] = [await session(), await session(), await session()];
      await stage.add('reset', { how: 'fin' }, { select: { oldest: 1 } });
      return {
        oldest: (await told(oldest)).length > 0,
        middle: await middle.query(ping),
        newest: await newest.query(ping),
      };
    },
    expect: () => ({ oldest: true, middle: 'ok', newest: 'ok' }),
  },
];

/** With the toxics that Toxiproxy does not have. */
export const embeddedRows: Row[] = [...idleRows, ...endRows, ...holeRows, ...newRows];
