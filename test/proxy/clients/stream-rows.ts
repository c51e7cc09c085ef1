import { delivered, settled, streams } from '../conformance/stage.ts';
import { ping, type Row, toldOf } from './scene.ts';

/** Node has a timer that is a few ms late at worst; what this is the limit of takes 10 times longer or for ever. */
const holdMs = 300;

/** What a toxic in either stream does. */
export const streamRows: Row[] = streams.flatMap((stream): Row[] => [
  {
    name: `${stream} reset_peer added to an idle connection`,
    play: async ({ stage, server, session }) => {
      const it = await session();
      await stage.add('reset_peer', { timeout: 0 }, { stream });
      await settled();
      const idle = [...it.events];
      return {
        idle,
        query: await it.query(ping),
        server: await server(it, 'gone'),
        again: await it.query(ping),
      };
    },
    expect: ({ lost, reset, unusable, differs }) => ({
      idle: [],
      query: differs('reset-of-live', lost, reset),
      server: 'gone',
      again: unusable,
    }),
  },
  {
    name: `${stream} reset_peer removed before any traffic`,
    play: async ({ stage, session }) => {
      const it = await session();
      await (await stage.add('reset_peer', { timeout: 0 }, { stream })).remove();
      return { query: await it.query(ping), events: it.events };
    },
    expect: () => ({ query: 'ok', events: [] }),
  },
  {
    name: `${stream} reset_peer before the connection`,
    play: async ({ stage, dial }) => {
      await stage.add('reset_peer', { timeout: 0 }, { stream });
      return { dial: await dial() };
    },
    expect: ({ reset }) => ({ dial: reset }),
  },
  {
    name: `${stream} timeout 0: a query hangs, the server's session lives; removed: lost`,
    play: async ({ stage, session, soon, server, told }) => {
      const it = await session();
      const toxic = await stage.add('timeout', { timeout: 0 }, { stream });
      const query = it.query(ping);
      const seen = { query: await soon(query), server: await server(it, 'idle'), events: [...it.events] };
      await toxic.remove();
      return { ...seen, after: await query, told: await told(it), gone: await server(it, 'gone') };
    },
    expect: ({ lost, by }) => ({
      query: 'pending',
      server: 'idle',
      events: [],
      after: lost,
      told: by({ pg: [lost, 'end'], mysql2: ['end'] }),
      gone: 'gone',
    }),
  },
  {
    name: `${stream} timeout 0 removed without any traffic: lost at once`,
    play: async ({ stage, session, told, server }) => {
      const it = await session();
      await (await stage.add('timeout', { timeout: 0 }, { stream })).remove();
      return { told: await told(it), server: await server(it, 'gone'), query: await it.query(ping) };
    },
    expect: ({ lost, unusable, by }) => ({ told: by(toldOf(lost)), server: 'gone', query: unusable }),
  },
  {
    name: `${stream} timeout: an idle connection is lost by itself`,
    play: async ({ stage, session, told, server, tookAtLeast }) => {
      const it = await session();
      let heard: string[] = [];
      const long = await tookAtLeast(holdMs, async () => {
        await stage.add('timeout', { timeout: holdMs }, { stream });
        heard = await told(it);
      });
      return { long, told: heard, server: await server(it, 'gone') };
    },
    expect: ({ lost, by }) => ({ long: true, told: by(toldOf(lost)), server: 'gone' }),
  },
  {
    name: `${stream} timeout 0 before the connection: dialing hangs; removed: lost`,
    play: async ({ stage, dial, soon }) => {
      const toxic = await stage.add('timeout', { timeout: 0 }, { stream });
      const dialing = dial();
      const seen = await soon(dialing);
      await toxic.remove();
      return { seen, after: await dialing };
    },
    expect: ({ lost }) => ({ seen: 'pending', after: lost }),
  },
  {
    name: `${stream} timeout 0 healed by toxicity 0: the hole keeps what it got, the rest works`,
    play: async ({ stage, session, soon }) => {
      const [sent, quiet] = [await session(), await session()];
      const toxic = await stage.add('timeout', { timeout: 0 }, { stream });
      const query = sent.query(ping);
      await delivered();
      await toxic.update({ toxicity: 0 });
      const seen = { quiet: await quiet.query(ping), sent: await soon(query) };
      await toxic.remove();
      await delivered();
      return { ...seen, after: await soon(query, 500), later: await quiet.query(ping) };
    },
    expect: ({ lost, unusable, differs }) => ({
      quiet: 'ok',
      sent: 'pending',
      after: differs('healed-timeout', lost, 'pending'),
      later: differs('healed-timeout', unusable, 'ok'),
    }),
  },
  {
    name: `${stream} reset_peer that was there with toxicity 0: a reset at the next query`,
    play: async ({ stage, session, server }) => {
      const toxic = await stage.add('reset_peer', { timeout: 0 }, { stream, toxicity: 0 });
      const it = await session();
      const before = await it.query(ping);
      await toxic.update({ toxicity: 1 });
      await settled();
      const idle = [...it.events];
      const seen = { before, idle, query: await it.query(ping), server: await server(it, 'gone') };
      await toxic.update({ toxicity: 0 });
      return { ...seen, next: await (await session()).query(ping) };
    },
    expect: ({ reset }) => ({ before: 'ok', idle: [], query: reset, server: 'gone', next: 'ok' }),
  },
]);
