import { describe, expect, test } from 'vitest';
import { seeded } from '../../../src/random.ts';
import type { Drive } from '../../../src/sim/loop.ts';
import * as model from '../../../src/sim/model.ts';
import { KeySet, keyOf } from '../../../src/sim/postgres/keys.ts';
import { RowStore } from '../../../src/sim/postgres/rows.ts';
import type { SimPostgresOptions } from '../../../src/sim/postgres/server.ts';
import type { StopHow } from '../../../src/world/world.ts';
import { insertKey, insertWrite, row, scripts } from './scripts.ts';
import { type Simulated, simulate } from './servers.ts';
import transcripts from './transcripts.json' with { type: 'json' };
import type { Witness } from './witness.ts';

/** What only the simulated server can show: moments, losses, bytes. */

async function started<T>(
  act: (server: Simulated) => Promise<T>,
  more: Partial<SimPostgresOptions> = {},
  seed = 1,
  drive: Drive = 'burst',
): Promise<T> {
  const server = simulate(more, seed, drive);
  return server.run(async () => {
    await server.start();
    return act(server);
  });
}

const seqs = async (server: Simulated): Promise<number[]> => (await server.rows()).map(({ seq }) => seq);

describe('a stop while a commit is on its way', () => {
  const slow = {
    ...model.postgres,
    commitMs: { min: 20, max: 20 },
    commitAnswerMs: { min: 20, max: 20 },
  };

  /** The answer to COMMIT, whether it is stored, and what else the client saw. */
  async function stopAfter(ms: number, how: StopHow) {
    return started(
      async server => {
        const witness = await server.witness();
        await witness.ask('BEGIN');
        await witness.ask(insertWrite(server.tables), row(1));
        const commit = witness.ask('COMMIT');
        await server.clock.sleepMs(ms);
        await server.stop(how);
        const answer = await commit;
        await witness.ended();
        return { answer, stored: await seqs(server), seen: witness.seen[0] };
      },
      { model: slow },
    );
  }
  const answered = { answer: 'COMMIT -', stored: [1], seen: 'error 57P01' };
  const unanswered = {
    answer: 'Connection terminated unexpectedly',
    stored: [1],
    seen: 'notice WARNING 57P01',
  };

  test('fast and kill let it finish and answer', async () => {
    for (const how of ['fast', 'kill'] as const) {
      expect(await stopAfter(10, how)).toEqual(answered);
      expect(await stopAfter(30, how)).toEqual(answered);
    }
  });

  test('immediate does not: committed, and nobody was told', async () => {
    expect(await stopAfter(10, 'immediate')).toEqual(unanswered);
    expect(await stopAfter(30, 'immediate')).toEqual(unanswered);
  });

  test('before it began nothing is stored', async () => {
    const { stored, answer } = await started(async server => {
      const witness = await server.witness();
      await witness.ask('BEGIN');
      await witness.ask(insertWrite(server.tables), row(1));
      await server.stop('immediate');
      return { stored: await seqs(server), answer: await witness.ask('COMMIT') };
    });
    expect(stored).toEqual([]);
    expect(answer).not.toContain('COMMIT');
  });
});

describe('durability', () => {
  const off = { settings: { synchronous_commit: 'off' } };

  /** One commit each 10 ms for 2 s, then a stop: how many of them are gone. */
  async function lostAfter(how: StopHow, more: Partial<SimPostgresOptions>, seed = 1, before = '') {
    return started(
      async server => {
        const witness = await server.witness();
        if (before !== '') await witness.ask(before);
        for (let n = 0; n < 200; n += 1) {
          await witness.ask('BEGIN');
          await witness.ask(insertKey(server.tables), [String('abcdef012345'), '1', String(n)]);
          await witness.ask(insertWrite(server.tables), row(n));
          expect(await witness.ask('COMMIT')).toBe('COMMIT -');
          await server.clock.sleepMs(10);
        }
        await server.stop(how);
        const left = await seqs(server);
        // A prefix: what was committed later is lost first.
        expect(left).toEqual(Array.from({ length: left.length }, (_, n) => n));
        await server.start();
        const again = await server.witness();
        const key = (n: number) => again.ask(insertKey(server.tables), ['abcdef012345', '1', String(n)]);
        expect(await key(0)).toBe('INSERT 0');
        if (left.length < 200) expect(await key(199)).toBe('INSERT 1');
        return 200 - left.length;
      },
      more,
      seed,
    );
  }

  test('with synchronous_commit nothing is lost, however it stops', async () => {
    for (const how of ['fast', 'immediate', 'kill'] as const) expect(await lostAfter(how, {})).toBe(0);
  });

  test('without it a crash loses up to three times wal_writer_delay, by seed', async () => {
    const losses: number[] = [];
    for (let seed = 1; seed <= 8; seed += 1) losses.push(await lostAfter('immediate', off, seed));
    expect(Math.max(...losses)).toBeLessThanOrEqual(60);
    expect(Math.max(...losses)).toBeGreaterThan(20);
    expect(new Set(losses).size).toBeGreaterThan(3);
    expect(await lostAfter('kill', off)).toBe(losses[0]);
    expect(await lostAfter('fast', off)).toBe(0);
  });

  test('a session may choose for itself', async () => {
    const losses = [1, 2, 3].map(seed => lostAfter('immediate', {}, seed, 'SET synchronous_commit = off'));
    expect(Math.max(...(await Promise.all(losses)))).toBeGreaterThan(0);
  });

  test('one commit that is flushed takes all before it along', async () => {
    const stored = await started(async server => {
      const witness = await server.witness();
      for (let n = 0; n < 5; n += 1) {
        await witness.ask(`BEGIN; SET LOCAL synchronous_commit = ${n === 4 ? 'on' : 'off'}`);
        await witness.ask(insertWrite(server.tables), row(n));
        await witness.ask('COMMIT');
      }
      await server.stop('immediate');
      return seqs(server);
    }, off);
    expect(stored).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('through many stops, each in the middle of work', () => {
  /** Clients that write until the server is gone, again and again: the answer to each COMMIT, and what is stored. */
  async function storm(how: StopHow, seed: number) {
    return started(
      async server => {
        const random = seeded(seed, 'storm');
        const answers = new Map<number, string>();
        let seq = 0;
        for (let round = 0; round < 10; round += 1) {
          const write = async (witness: Witness): Promise<void> => {
            for (;;) {
              seq += 1;
              const mine = seq;
              if ((await witness.ask('BEGIN')) !== 'BEGIN -') return;
              if ((await witness.ask(insertWrite(server.tables), row(mine))) !== 'INSERT 1') return;
              answers.set(mine, await witness.ask('COMMIT'));
              if (answers.get(mine) !== 'COMMIT -') return;
            }
          };
          const clients = await Promise.all([1, 2, 3, 4].map(() => server.witness()));
          const writing = clients.map(write);
          await server.clock.sleepMs(20 + 20 * random.next());
          await server.stop(how);
          await Promise.all(writing);
          await server.start();
        }
        return { answers, stored: await seqs(server) };
      },
      {},
      seed,
    );
  }

  test.each(['fast', 'immediate', 'kill'] as const)('%s loses no answered commit', async how => {
    let unanswered = 0;
    for (const seed of [1, 2, 3]) {
      const { answers, stored } = await storm(how, seed);
      const there = new Set(stored);
      expect(there.size).toBe(stored.length);
      expect(answers.size).toBeGreaterThan(100);
      for (const [seq, answer] of answers) {
        if (answer === 'COMMIT -') expect(there.has(seq)).toBe(true);
        else if (there.has(seq)) unanswered += 1;
        // An error with a code was no commit.
        if (/^[0-9A-Z]{5}$/.test(answer)) expect(there.has(seq)).toBe(false);
      }
    }
    // As seen of the real server: only `immediate` keeps what it did not tell.
    expect(unanswered > 0).toBe(how === 'immediate');
  });
});

describe('the same seed', () => {
  const play = (seed: number, drive?: Drive) =>
    started(
      async server => {
        const times: (string | number)[] = [];
        const clients = await Promise.all([1, 2, 3].map(() => server.witness()));
        const work = async (witness: Witness, at: number): Promise<void> => {
          for (let n = 0; n < 30; n += 1) {
            await witness.ask('BEGIN');
            times.push(await witness.ask(insertKey(server.tables), ['t', '1', String(n)]), at);
            await witness.ask('COMMIT');
            times.push(server.clock.nowMs());
          }
        };
        await Promise.all(clients.map(work));
        await server.stop('immediate');
        return [...times, ...server.log.map(({ text }) => text)];
      },
      {},
      seed,
      drive,
    );

  test('gives the same run, another seed another', async () => {
    const first = await play(1);
    expect(await play(1)).toEqual(first);
    expect(await play(1, 'single')).toEqual(first);
    expect(await play(2)).not.toEqual(first);
  });
});

describe('messages that arrive in pieces', () => {
  for (const size of [1, 7]) {
    test(`of ${size} bytes are answered all the same`, async () => {
      await started(async server => {
        for (const script of scripts) {
          const witness = await server.witness();
          const bytes = Buffer.concat(script.send(server.tables));
          const pieces: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
          const heard = await witness.transcript(pieces, script.readies);
          expect(heard).toEqual((transcripts as Record<string, string[]>)[script.name]);
          witness.socket.destroy();
          await server.clock.sleepMs(20);
        }
        expect(server.unknown).toEqual([]);
      });
    });
  }
});

describe('SQL it does not know', () => {
  const texts = [
    'LISTEN x',
    'SELECT count(*)',
    'SELECT 1 +',
    "INSERT INTO x VALUES ('a'",
    'VACUUM',
    'BEGIN; WHAT',
  ];

  test.each(texts)('is refused out loud: %s', async text => {
    await started(async server => {
      const witness = await server.witness();
      const said = await witness.message(text);
      expect(said).toMatch(/^ERROR \| 0A000 \| the simulated PostgreSQL does not know this SQL \(.+\): /);
      expect(said).toContain(text);
      expect(server.unknown).toEqual([text]);
      expect(await witness.ask('SELECT 1')).toBe('SELECT 1');
    });
  });

  test('a superuser who reads a table is one of them', async () => {
    await started(async server => {
      const witness = await server.witness({ user: 'postgres', password: server.superPassword });
      expect(await witness.ask(`SELECT * FROM ${server.tables.writes}`)).toBe('0A000');
      expect(server.unknown).toHaveLength(1);
    });
  });
});

describe('a server stopped by SIGSTOP', () => {
  test('answers nothing until it goes on, new connections neither', async () => {
    await started(async server => {
      const { clock, sim } = server;
      const witness = await server.witness();
      await witness.ask('SET idle_session_timeout = 60000');
      sim.pause();
      expect(() => sim.sessions('poolsoak_app')).toThrow('away');
      const pausedMs = clock.nowMs();
      const [answer, opened] = [witness.ask('SELECT 1'), server.witness()];
      await clock.sleepMs(5_000);
      sim.resume();
      expect(await answer).toBe('SELECT 1');
      await opened;
      expect(clock.nowMs() - pausedMs).toBeGreaterThan(5_000);
      expect(sim.sessions('poolsoak_app').sessions).toBe(2);
    });
  });

  test('finds its limits over when it goes on', async () => {
    await started(async server => {
      const witness = await server.witness();
      await witness.ask('SET idle_session_timeout = 100');
      server.sim.pause();
      await server.clock.sleepMs(1_000);
      expect(witness.seen).toEqual([]);
      server.sim.resume();
      expect((await witness.ended())[0]).toBe('error 57P05');
    });
  });

  test('is woken by its end', async () => {
    for (const how of ['fast', 'immediate', 'kill'] as const) {
      await started(async server => {
        const witness = await server.witness();
        server.sim.pause();
        await server.stop(how);
        expect(await witness.ended()).toContain('ended');
        expect(server.sim.running()).toBe(false);
        await server.start();
        expect(await (await server.witness()).ask('SELECT 1')).toBe('SELECT 1');
      });
    }
  });
});

test('one session killed ends all, and the server recovers by itself', async () => {
  await started(async server => {
    const [victim, other] = [await server.witness(), await server.witness()];
    server.sim.crashBackend(victim.pid);
    expect(await victim.ended()).toEqual(['error Connection terminated unexpectedly', 'ended']);
    expect((await other.ended())[0]).toBe('notice WARNING 57P02');
    const refused = () =>
      server.witness().then(
        () => '',
        error => `${error.code} ${error.message}`,
      );
    expect(await refused()).toBe('57P03 the database system is in recovery mode');
    await server.clock.sleepMs(100);
    expect(await refused()).toBe('57P03 the database system is not yet accepting connections');
    await server.clock.sleepMs(100);
    expect(await refused()).toBe('');
  });
});

test('a client that says nothing before its password is dropped after a minute', async () => {
  await started(async server => {
    const heard: Buffer[] = [];
    const socket = server.socket() as import('node:net').Socket;
    let closedMs = 0;
    socket.on('data', chunk => heard.push(chunk));
    socket.on('close', () => {
      closedMs = server.clock.nowMs();
    });
    socket.connect(5432, '127.0.0.1');
    await server.clock.sleepMs(70_000);
    expect(heard).toEqual([]);
    expect(closedMs).toBeGreaterThan(60_000);
    expect(closedMs).toBeLessThan(61_000);
  });
});

test('says so when a setting would mean nothing', async () => {
  const settings = { tcp_keepalives_idle: '5' };
  expect(() => simulate({ settings })).toThrow('server.settings.tcp_keepalives_idle');
  await started(async server => {
    const witness = await server.witness();
    expect(await witness.ask('SET transaction_timeout = 5')).toBe('0A000');
    expect(await witness.ask('SET transaction_timeout = 0')).toBe('SET -');
    expect(server.unknown).toEqual(['SET transaction_timeout = 5']);
  });
});

test('takes its limits from its settings', async () => {
  const settings = { idle_session_timeout: '2s', idle_in_transaction_session_timeout: '300' };
  await started(
    async server => {
      const [idle, open] = [await server.witness(), await server.witness()];
      await open.ask('BEGIN');
      await server.clock.sleepMs(400);
      expect(open.seen[0]).toBe('error 25P03');
      expect(await idle.ask('SHOW idle_session_timeout')).toBe('SHOW -');
      await server.clock.sleepMs(2_100);
      expect(idle.seen[0]).toBe('error 57P05');
    },
    { settings },
  );
});

test('a session whose client fell silent stays, with its locks', async () => {
  await started(async server => {
    const [silent, other] = [await server.witness(), await server.witness()];
    await silent.ask('BEGIN');
    await silent.ask(insertKey(server.tables), ['t', '1', '1']);
    await server.clock.sleepMs(3_600_000);
    await other.ask('SET lock_timeout = 1000');
    expect(await other.ask(insertKey(server.tables), ['t', '1', '1'])).toBe('55P03');
    expect(await server.sessions()).toMatchObject({ sessions: 2, idleInTransaction: 1 });
    expect(await server.endSessions()).toBe(2);
  });
});

test('while it shuts down it says so', async () => {
  await started(async server => {
    const stopped = server.stop('fast');
    const refused = await server.witness().catch(error => `${error.code} ${error.message}`);
    expect(refused).toBe('57P03 the database system is shutting down');
    await stopped;
  });
});

test('two orders to stop: both are told when it is gone', async () => {
  await started(async server => {
    const gone = [server.stop('fast'), server.stop('immediate')];
    await Promise.all(gone);
    expect(server.sim.running()).toBe(false);
    await expect(server.start()).resolves.toBeUndefined();
    await expect(server.start()).rejects.toThrow('running already');
  });
});

describe('storage', () => {
  const trial = 'abcdef012345';
  const sha = (n: number) => n.toString(16).padStart(64, '0');
  const newRow = (n: number) => ({ trial, session: n % 300, seq: n, attempt: 1, row: 0, of: 2, sha: sha(n) });

  test('takes at most 55 bytes a row', () => {
    const rows = new RowStore(trial);
    const count = 200_000;
    for (let n = 0; n < count; n += 1) rows.add(newRow(n), 1_000 + n);
    expect(rows.bytes / count).toBeLessThan(55);
    expect(rows.at(77_777)).toEqual({ ...newRow(77_777), valid: true, xid: '78777' });
  });

  test('gives back whatever was put there, in order', () => {
    const rows = new RowStore(trial);
    const odd = [
      { ...newRow(5), sha: 'not a hash' },
      { ...newRow(4), sha: sha(4).replace('0', 'A') },
      { ...newRow(3), trial: 'other' },
      { ...newRow(2), attempt: 70_000 },
      { ...newRow(1), row: -1 },
      { ...newRow(0), sha: `${'0'.repeat(63)}é` },
    ];
    odd.forEach((each, n) => {
      rows.add(each, n + 1);
    });
    const found = [...rows.order()].map(n => rows.at(n));
    const expected = odd.map((each, n) => ({ ...each, valid: true, xid: String(n + 1) })).reverse();
    expect(found).toEqual(expected);
    rows.truncate(2);
    expect([...rows.order()].map(n => rows.at(n).seq)).toEqual([4, 5]);
  });

  test('keeps keys apart, near and far', () => {
    const keys = new KeySet();
    const all = [
      keyOf(true, trial, 0, 0),
      keyOf(true, trial, 0, 1),
      keyOf(true, trial, 1, 0),
      keyOf(true, trial, 1_000, 2_000_000_000),
      keyOf(true, trial, -1, 5),
      keyOf(false, 'other', 0, 0),
    ];
    expect(new Set(all).size).toBe(all.length);
    all.forEach((key, n) => {
      expect(keys.has(key)).toBe(false);
      keys.add(key);
      expect(all.map(each => keys.has(each))).toEqual(all.map((_, m) => m <= n));
    });
    for (const key of all) keys.delete(key);
    expect(all.some(key => keys.has(key))).toBe(false);
  });
});
