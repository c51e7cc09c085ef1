import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StopHow } from '../../../src/world/world.ts';
import { insertWrite, row, scripts } from './scripts.ts';
import { appSlots, openReal, openSimulated, type Server } from './servers.ts';
import transcripts from './transcripts.json' with { type: 'json' };
import { codeOf, type Witness } from './witness.ts';

/** One suite for both: what the simulated server does is what PostgreSQL does. */
const servers: [string, () => Promise<Server>][] = [
  ['the simulated PostgreSQL', openSimulated],
  ['the embedded PostgreSQL', openReal],
];

/** Set, what the embedded server answers is written down anew. */
const record = process.env.POOLSOAK_RECORD !== undefined;
const recorded = transcripts as Record<string, string[]>;

const terminating = 'terminating connection due to';
const lost = 'Connection terminated unexpectedly';

describe.each(servers)('%s', (_, open) => {
  let server: Server;
  let logged = 0;
  let keys = 0;

  beforeAll(async () => {
    server = await open();
  }, 60_000);
  afterAll(async () => {
    await server?.close();
    const path = join(import.meta.dirname, 'transcripts.json');
    if (record) writeFileSync(path, `${JSON.stringify(recorded, null, 2)}\n`);
  });

  /** A test in the server's own time; every client it opened is gone afterwards. */
  const scenario = (name: string, act: () => Promise<void>): void =>
    test(name, () =>
      server.run(async () => {
        logged = server.log.length;
        try {
          await act();
        } finally {
          // What the log says of their end belongs to this test, not to the next.
          if ((await server.endSessions()) > 0) await server.clock.sleepMs(100);
        }
      }),
    );

  const refusal = (more: Parameters<Server['witness']>[0]): Promise<string> =>
    server.witness(more).then(
      () => 'none',
      error => `${error.severity} ${codeOf(error)} ${error.message}`,
    );
  const opened = (count: number): Promise<Witness[]> =>
    Promise.all(Array.from({ length: count }, () => server.witness()));
  /** What the server logged since the test began, in any order. */
  const log = async (): Promise<string[]> => {
    await server.clock.sleepMs(50);
    return server.log
      .slice(logged)
      .filter(line => line.sqlState !== null)
      .map(({ severity, sqlState, user, text }) => `${severity} ${sqlState} ${user} ${text}`)
      .sort();
  };
  const freshKey = (): string => {
    keys += 1;
    return `INSERT INTO ${server.tables.keys} VALUES ('t', 60, ${keys}) ON CONFLICT DO NOTHING`;
  };
  const sleepMs = (ms: number): Promise<void> => server.clock.sleepMs(ms);

  describe('answers as it did when it was recorded:', () => {
    for (const script of scripts) {
      scenario(script.name, async () => {
        const witness = await server.witness();
        const heard = await witness.transcript([Buffer.concat(script.send(server.tables))], script.readies);
        witness.socket.destroy();
        if (record) recorded[script.name] = heard;
        expect(heard).toEqual(recorded[script.name]);
      });
    }
  });

  scenario('takes the right password of a known user only', async () => {
    const { client } = await server.witness();
    expect((await client.query('SELECT 1 AS x')).rows).toEqual([{ x: 1 }]);
    expect((await client.query('SELECT $1::int AS x, $2 AS y', [5, 'z'])).rows).toEqual([{ x: 5, y: 'z' }]);
    const failed = (user: string) => `FATAL 28P01 password authentication failed for user "${user}"`;
    expect(await refusal({ password: 'x' })).toBe(failed('poolsoak_app'));
    expect(await refusal({ user: 'nobody' })).toBe(failed('nobody'));
    const unknown = 'unrecognized configuration parameter "nope"';
    expect(await refusal({ options: '-c nope=1' })).toBe(`FATAL 42704 ${unknown}`);
    const named = (user: string) => failed(user).replace('28P01', `28P01 ${user}`);
    const all = [named('nobody'), named('poolsoak_app'), `FATAL 42704 poolsoak_app ${unknown}`].sort();
    expect(await log()).toEqual(all);
  });

  scenario('declines encryption with one byte, and goes on', async () => {
    const witness = await server.witness();
    const socket = witness.newSocket();
    const heard: Buffer[] = [];
    socket.on('data', chunk => heard.push(chunk));
    const request = (code: number): Buffer => {
      const packet = Buffer.alloc(8);
      packet.writeInt32BE(8, 0);
      packet.writeInt32BE(code, 4);
      return packet;
    };
    for (const code of [80_877_104, 80_877_103]) {
      socket.write(request(code));
      await sleepMs(30);
    }
    expect(Buffer.concat(heard).toString()).toBe('NN');
    const { user, database } = witness.client;
    const fields = Buffer.from(`\0\x03\0\0user\0${user}\0database\0${database}\0\0`, 'latin1');
    const length = Buffer.alloc(4);
    length.writeInt32BE(fields.length + 4);
    socket.write(Buffer.concat([length, fields]));
    await sleepMs(50);
    expect(Buffer.concat(heard).toString('latin1', 2, 3)).toBe('R');
    socket.destroy();
  });

  scenario('lets a superuser log in as the harness does', async () => {
    const options = '-c client_min_messages=warning';
    const witness = await server.witness({ user: 'postgres', password: server.superPassword, options });
    expect(await witness.ask('SELECT 1')).toBe('SELECT 1');
    await witness.client.end();
    expect(witness.seen).toEqual(['ended']);
  });

  scenario('sets what the driver asks for at its start', async () => {
    const { client } = await server.witness({
      statement_timeout: 1_500,
      lock_timeout: 2_000,
      idle_in_transaction_session_timeout: 60_000,
      application_name: 'poolsoak-app',
    });
    const show = async (name: string) => Object.values((await client.query(`SHOW ${name}`)).rows[0])[0];
    expect(await show('statement_timeout')).toBe('1500ms');
    expect(await show('lock_timeout')).toBe('2s');
    expect(await show('idle_in_transaction_session_timeout')).toBe('1min');
    expect(await show('application_name')).toBe('poolsoak-app');
    await client.query('SET lock_timeout = 5');
    await client.query('RESET lock_timeout');
    expect(await show('lock_timeout')).toBe('2s');
  });

  scenario('refuses for lack of slots: the last ones are for superusers', async () => {
    const apps = await opened(appSlots);
    const reserved = 'remaining connection slots are reserved for roles with the SUPERUSER attribute';
    expect(await refusal({})).toBe(`FATAL 53300 ${reserved}`);
    expect(await refusal({ password: 'x' })).toContain('28P01');
    const user = { user: 'postgres', password: server.superPassword };
    const others = await Promise.all([1, 2, 3].map(() => server.witness(user)));
    // Nobody is asked for a password any more.
    expect(await refusal(user)).toBe('FATAL 53300 sorry, too many clients already');
    expect(await refusal({ password: 'x' })).toBe('FATAL 53300 sorry, too many clients already');
    for (const { client } of [...apps, ...others]) await client.end();
    expect(await log()).toEqual(
      expect.arrayContaining([
        `FATAL 53300 poolsoak_app ${reserved}`,
        'FATAL 53300 poolsoak_app sorry, too many clients already',
      ]),
    );
  });

  scenario('a slot is free again soon after its client has left', async () => {
    const [first] = await opened(appSlots);
    await first!.client.end();
    await sleepMs(50);
    expect(await refusal({})).toBe('none');
  });

  scenario('what is committed is there, once, with its transaction', async () => {
    const { client } = await server.witness();
    const rowsBefore = (await server.rows()).length;
    await client.query('BEGIN');
    for (const seq of [2_000, 2_001]) await client.query(insertWrite(server.tables), row(seq));
    expect(await server.rows()).toHaveLength(rowsBefore);
    await client.query('COMMIT');
    await client.query('BEGIN');
    await client.query(insertWrite(server.tables), row(2_002));
    await client.query('ROLLBACK');
    await client.query(insertWrite(server.tables), row(2_003));
    const rows = (await server.rows()).filter(({ seq }) => seq >= 2_000);
    expect(rows.map(({ seq }) => seq)).toEqual([2_000, 2_001, 2_003]);
    const [a, b, c] = rows;
    expect(a).toMatchObject({ trial: 't', session: 1, attempt: 1, row: 0, of: 1, sha: 'ab'.repeat(32) });
    expect(a!.xid).toBe(b!.xid);
    expect(Number(c!.xid)).toBeGreaterThan(Number(a!.xid) + 1);
  });

  scenario('names what a rejected row breaks', async () => {
    const witness = await server.witness();
    const [text, table] = [insertWrite(server.tables), server.tables.writes];
    const said = await witness.message(text, row(2_010, false));
    const violates = `new row for relation "${table}" violates check constraint "${table}_valid_check"`;
    const names = 'trial, session, seq, attempt, row, of, payload_sha, valid';
    const values = `t, 1, 2010, 1, 0, 1, ${'ab'.repeat(32)}, f`;
    const failing = `Failing row contains (${names}) = (${values}).`;
    expect(said).toBe(`ERROR | 23514 | ${violates} | ${failing} | ${table}_valid_check`);
    const null_ = `INSERT INTO ${server.tables.keys} (seq, trial) VALUES (4, NULL)`;
    const missing = `null value in column "trial" of relation "${server.tables.keys}"`;
    expect(await witness.message(null_)).toBe(
      `ERROR | 23502 | ${missing} violates not-null constraint | Failing row contains (trial, seq) = (null, 4).`,
    );
    const twice = `INSERT INTO ${server.tables.keys} VALUES ('t', 61, 1), ('t', 61, 1)`;
    const pkey = `${server.tables.keys}_pkey`;
    expect(await witness.message(twice)).toBe(
      `ERROR | 23505 | duplicate key value violates unique constraint "${pkey}" | ${pkey}`,
    );
  });

  describe('two sessions on one key:', () => {
    scenario('the second waits, and finds it committed', async () => {
      const [first, second] = await opened(2);
      const insert = freshKey();
      await first!.ask('BEGIN');
      expect(await first!.ask(insert)).toBe('INSERT 1');
      await second!.ask('BEGIN');
      const waiting = second!.ask(insert);
      await sleepMs(50);
      expect(await server.sessions()).toEqual({ sessions: 2, active: 1, idle: 0, idleInTransaction: 1 });
      await first!.ask('COMMIT');
      expect(await waiting).toBe('INSERT 0');
    });

    scenario('the second waits, and takes it when the first rolls back or leaves', async () => {
      const [first, second] = await opened(2);
      for (const end of [() => first!.ask('ROLLBACK'), () => first!.client.end()]) {
        const insert = freshKey();
        await first!.ask('BEGIN');
        await first!.ask(insert);
        const waiting = second!.ask(insert);
        await sleepMs(30);
        await end();
        expect(await waiting).toBe('INSERT 1');
      }
    });

    scenario('without ON CONFLICT the second breaks the primary key', async () => {
      const [first, second] = await opened(2);
      const insert = freshKey().replace(' ON CONFLICT DO NOTHING', '');
      await first!.ask('BEGIN');
      await first!.ask(insert);
      const waiting = second!.ask(insert);
      await sleepMs(30);
      await first!.ask('COMMIT');
      expect(await waiting).toBe('23505');
    });

    scenario('lock_timeout, statement_timeout and a cancel end the wait, not the session', async () => {
      const [first, second] = await opened(2);
      const insert = freshKey();
      await first!.ask('BEGIN');
      await first!.ask(insert);
      const startMs = server.clock.nowMs();
      await second!.ask('BEGIN; SET LOCAL lock_timeout = 60');
      expect(await second!.message(insert)).toBe('ERROR | 55P03 | canceling statement due to lock timeout');
      expect(server.clock.nowMs() - startMs).toBeGreaterThanOrEqual(60);
      expect(await second!.ask('SELECT 1')).toBe('25P02');
      expect(await second!.ask('COMMIT')).toBe('ROLLBACK -');
      await second!.ask('SET statement_timeout = 60');
      const late = 'ERROR | 57014 | canceling statement due to statement timeout';
      expect(await second!.message(insert)).toBe(late);
      expect(await second!.message('SELECT pg_sleep(1)')).toBe(late);
      await second!.ask('RESET statement_timeout');
      const waiting = second!.message(insert);
      await sleepMs(30);
      await cancel(second!);
      expect(await waiting).toBe('ERROR | 57014 | canceling statement due to user request');
      expect(await second!.ask('SELECT 1')).toBe('SELECT 1');
    });

    scenario('two that wait for each other: one is told so after a second', async () => {
      const [first, second] = await opened(2);
      const [one, two] = [freshKey(), freshKey()];
      for (const [witness, insert] of [
        [first!, one],
        [second!, two],
      ] as const) {
        await witness.ask('BEGIN');
        await witness.ask(insert);
      }
      const waiting = first!.ask(two);
      await sleepMs(30);
      expect([await second!.ask(one), await waiting].sort()).toEqual(['40P01', 'INSERT 1']);
    });
  });

  /** As drivers do: a connection of its own, which the server closes without a word. */
  async function cancel({ pid, secret }: Witness): Promise<void> {
    const helper = await server.witness();
    const stream = helper.newSocket() as Socket;
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80_877_102, 4);
    packet.writeInt32BE(pid, 8);
    packet.writeInt32BE(secret, 12);
    const heard: Buffer[] = [];
    await new Promise<void>(resolve => {
      stream.on('data', chunk => heard.push(chunk));
      stream.on('close', () => resolve());
      stream.on('connect', () => stream.write(packet));
    });
    expect(heard).toEqual([]);
    await helper.client.end();
  }

  describe('idle too long:', () => {
    scenario('a session', async () => {
      const witness = await server.witness();
      await witness.ask('SET idle_session_timeout = 500');
      await sleepMs(300);
      await witness.ask('SELECT 1');
      await sleepMs(300);
      expect(witness.seen).toEqual([]);
      expect(await witness.ended()).toEqual(['error 57P05', `error ${lost}`, 'ended']);
      expect(witness.messages[0]).toBe(`${terminating} idle-session timeout`);
      expect(await log()).toEqual([`FATAL 57P05 poolsoak_app ${terminating} idle-session timeout`]);
    });

    scenario('a transaction, a failed one too', async () => {
      for (const second of ['SELECT 1', 'SELECT nothing_such FROM nowhere']) {
        const witness = await server.witness({ idle_in_transaction_session_timeout: 400 });
        await witness.ask('BEGIN');
        await witness.ask(second);
        expect(await witness.ended()).toEqual(['error 25P03', `error ${lost}`, 'ended']);
        expect(witness.messages[0]).toBe(`${terminating} idle-in-transaction timeout`);
      }
    });

    scenario('outside a transaction the limit for those does not count', async () => {
      const witness = await server.witness({ idle_in_transaction_session_timeout: 50 });
      await witness.ask('BEGIN');
      await witness.ask('COMMIT');
      await sleepMs(120);
      expect(witness.seen).toEqual([]);
    });
  });

  /** Idle, in a transaction, asleep in a statement, waiting for a lock. */
  async function four(): Promise<{ all: Witness[]; asleep: Promise<string>; locked: Promise<string> }> {
    const all = await opened(4);
    const insert = freshKey();
    await all[1]!.ask('BEGIN');
    await all[1]!.ask(insert);
    const asleep = all[2]!.message('SELECT pg_sleep(5)');
    const locked = all[3]!.message(insert);
    await sleepMs(50);
    return { all, asleep, locked };
  }

  const seen = async (all: Witness[]): Promise<string[][]> => {
    const every: string[][] = [];
    for (const witness of all) every.push(await witness.ended());
    return every;
  };
  const told = (what: string) => [what, `error ${lost}`, 'ended'];
  const untold = [`error ${lost}`, 'ended'];

  scenario('terminates sessions, whatever they do', async () => {
    const { all, asleep, locked } = await four();
    expect(await server.sessions()).toEqual({ sessions: 4, active: 2, idle: 1, idleInTransaction: 1 });
    expect(await server.endSessions()).toBe(4);
    const fatal = `FATAL | 57P01 | ${terminating} administrator command`;
    expect(await asleep).toBe(fatal);
    // The one with the lock may go first, and then the other's insert may still be answered.
    expect([fatal, 'no error']).toContain(await locked);
    // pg gives the error to the query when there is one.
    expect((await seen(all)).slice(0, 3)).toEqual([told('error 57P01'), told('error 57P01'), untold]);
    expect(await server.sessions()).toMatchObject({ sessions: 0 });
    expect(await log()).toHaveLength(4);
  });

  describe('clients that vanish:', () => {
    const broken = 'LOG 08006 poolsoak_app';
    const openEnd = `${broken} unexpected EOF on client connection with an open transaction`;

    async function vanish(how: (socket: Socket) => void): Promise<void> {
      const all = await opened(4);
      await all[1]!.ask('BEGIN');
      await all[3]!.ask('BEGIN');
      for (const witness of all.slice(2)) void witness.ask('SELECT pg_sleep(0.2)');
      await sleepMs(50);
      for (const { socket } of all) how(socket as Socket);
      await sleepMs(80);
      expect(await server.sessions()).toEqual({ sessions: 2, active: 2, idle: 0, idleInTransaction: 0 });
      await sleepMs(200);
      expect(await server.sessions()).toMatchObject({ sessions: 0 });
    }

    scenario('by FIN: the idle are missed at once, the busy when they are done', async () => {
      await vanish(socket => socket.end());
      expect(await log()).toEqual([openEnd, openEnd]);
    });

    scenario('by RST', async () => {
      await vanish(socket => socket.resetAndDestroy());
      const lines = [
        'FATAL 08006 poolsoak_app connection to client lost',
        `${broken} could not receive data from client: Connection reset by peer`,
        `${broken} could not send data to client: Connection reset by peer`,
      ];
      expect(await log()).toEqual([...lines.flatMap(line => [line, line]), openEnd]);
    });
  });

  describe('a stop of the server:', () => {
    const silent = `${lost} | ${lost}`;
    const fatal = `FATAL | 57P01 | ${terminating} administrator command`;
    const warned = told('notice WARNING 57P01');
    const failed = told('error 57P01');
    const cases: [StopHow, string, string[][], string | null][] = [
      ['fast', fatal, [failed, failed, untold, untold], 'administrator command'],
      ['immediate', silent, [warned, warned, warned, warned], null],
      ['kill', silent, [failed, failed, untold, untold], 'unexpected postmaster exit'],
    ];

    for (const [how, answer, ends, reason] of cases) {
      scenario(`${how}: what clients see of it, and of the start`, async () => {
        const { all, asleep, locked } = await four();
        await server.stop(how);
        expect([await asleep, await locked]).toEqual([answer, answer]);
        expect(await seen(all)).toEqual(ends);
        const why = all[0]!.messages[0];
        expect(why).toBe(`${terminating} ${reason ?? 'immediate shutdown command'}`);
        const fatals = (await log()).filter(line => line.includes('poolsoak_app'));
        const line = `FATAL 57P01 poolsoak_app ${terminating} ${reason}`;
        expect(fatals).toEqual(reason === null ? [] : Array(how === 'fast' ? 4 : 2).fill(line));
        expect(await refusal({})).toContain('ECONNREFUSED');
        await restart();
      });
    }

    async function restart(): Promise<void> {
      let started = false;
      const starting = server.start().then(() => {
        started = true;
      });
      const heard = new Set<string>();
      // Once it lets somebody in that is all there is to hear: who dials on is met by those who have not left yet.
      while (!started && !heard.has('none')) {
        heard.add(await refusal({}));
        await sleepMs(2);
      }
      await starting;
      const known =
        /^FATAL 57P03 the database system is (starting up|not yet accepting connections)$|ECONNREFUSED|^none$/;
      expect([...heard].filter(each => !known.test(each))).toEqual([]);
      expect(heard).toContain('FATAL 57P03 the database system is starting up');
      await server.endSessions();
    }
  });
});
