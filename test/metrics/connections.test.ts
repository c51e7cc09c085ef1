import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../src/ledger/record.ts';
import { candidate, ended, error, fault, Hand, habits, tried, withRestart } from './hand.ts';

describe('connections', () => {
  it('counts open events, what closed, and the most at once', () => {
    const hand = new Hand();
    hand.conn(1, 'opening', 0).conn(1, 'open', 10);
    hand.conn(2, 'opening', 0).conn(2, 'close', 20); // never opened
    hand.conn(1, 'open', 15, { worker: 1 }).conn(2, 'open', 30, { worker: 1 });
    hand.conn(1, 'close', 40);
    hand.conn(3, 'open', 40); // as one goes, one comes
    hand.worker(50, 'exit', { worker: 1, crash: true });
    hand.conn(4, 'open', 60);
    hand.say(35, {
      k: 'sample',
      sessions: 5,
      active: 0,
      idle: 5,
      idleInTransaction: 0,
      harnessLoopDelayMs: 1,
    });
    expect(hand.measure().connections).toMatchObject({ opened: 5, closed: 1, clientMax: 3, serverMax: 5 });
  });

  it('how long connecting takes is measured outside faults', () => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    hand.conn(1, 'opening', 1000).conn(1, 'open', 1007);
    hand.conn(2, 'opening', 20_500).conn(2, 'open', 25_500);
    hand.conn(3, 'opening', 26_500).conn(3, 'open', 26_511);
    expect(hand.measure().connections.connect).toMatchObject({ n: 2, maxMs: 11 });
  });
});

describe('a poisoned borrow', () => {
  const begin = (at: number, over: Partial<Attempt> = {}) =>
    tried(at, {
      step: 'begin',
      commitSent: false,
      answered: false,
      tag: null,
      outcome: 'failed',
      error: error({ code: 'ECONNRESET' }),
      ...over,
    });
  const poisonedBy = (attempt: Attempt, hand = new Hand()) => {
    hand.settle(
      hand.submit(attempt.startedAt),
      attempt.endedAt ?? 90_000,
      'failed',
      [attempt],
      attempt.endedAt === null,
    );
    return hand.measure().connections;
  };

  it.each<[string, Partial<Attempt>, number]>([
    ['died without an answer', {}, 1],
    ['answered that the server goes', { answered: true, error: error({ sqlState: '57P01' }) }, 1],
    ['answered idle-in-transaction timeout', { answered: true, error: error({ sqlState: '25P03' }) }, 1],
    ['answered connection failure', { answered: true, error: error({ sqlState: '08006' }) }, 1],
    ['answered another error', { answered: true, error: error({ sqlState: '57014' }) }, 0],
    [
      'answered late, beyond patience',
      { answered: true, error: error({ sqlState: '57014' }), endedAt: 1000 + 10_002 },
      1,
    ],
    ['never answered', { endedAt: null, outcome: null, error: null }, 1],
    ['the second statement died', { step: 'write' }, 0],
    ['no connection at all', { step: 'acquire', acquiredAt: null, conn: null }, 0],
  ])('%s: %#', (_, over, poisoned) => {
    expect(poisonedBy(begin(1000, over)).poisoned).toBe(poisoned);
  });

  it('never answered, but not for longer than patience', () => {
    const hand = new Hand();
    hand.settle(
      hand.submit(1000),
      11_001,
      'indeterminate',
      [begin(1000, { endedAt: null, error: null })],
      true,
    );
    expect(hand.measure().connections.poisoned).toBe(0);
  });

  it('in autocommit the first row is the first statement', () => {
    const first = (tag: string | null) =>
      poisonedBy(
        begin(1000, { step: 'write', commitSent: true, tag }),
        new Hand(habits({ transaction: 'autocommit' })),
      );
    expect(first(null).poisoned).toBe(1);
    expect(first('INSERT').poisoned).toBe(0);
  });

  describe('outside outages', () => {
    const at = (startedAt: number, endedAt: number | null, prepare: (hand: Hand) => void = () => {}) => {
      const hand = withRestart().outage('restart-1', 20_000, 25_000);
      prepare(hand);
      const { poisoned, poisonedOutsideOutages } = poisonedBy(begin(startedAt, { endedAt }), hand);
      return [poisoned, poisonedOutsideOutages];
    };

    it.each<[string, number, number | null, number]>([
      ['before', 10_000, 10_004, 1],
      ['found dead during it', 19_998, 20_004, 0],
      ['during it', 22_000, 22_004, 0],
      ['in the grace', 25_990, 26_100, 0],
      ['after the grace', 26_001, 26_010, 1],
      ['hung for ever since long before', 5000, null, 1],
      ['hung since shortly before', 15_000, null, 0],
    ])('%s', (_, startedAt, endedAt, outside) => {
      expect(at(startedAt, endedAt)).toEqual([1, outside]);
    });

    it('the first borrow of a connection older than the outage is the outage’s, the second is not', () => {
      const old = (hand: Hand) => hand.conn(1, 'open', 0).conn(1, 'borrow', 30_000);
      expect(at(30_000, 30_004, old)).toEqual([1, 0]);
      const again = (hand: Hand) => old(hand).conn(1, 'release', 30_010).conn(1, 'borrow', 40_000);
      expect(at(40_000, 40_004, again)).toEqual([1, 1]);
      const young = (hand: Hand) => hand.conn(1, 'open', 27_000).conn(1, 'borrow', 30_000);
      expect(at(30_000, 30_004, young)).toEqual([1, 1]);
    });
  });
});

const ambient = () => {
  const hand = new Hand({ faults: [fault('idle-kill-1', 'ambient', 1000, 90_000)] });
  return hand.fault('idle-kill-1', 'inject', 1000);
};
const kill = (hand: Hand, clientPort: number, atMs: number) =>
  hand.say(atMs, { k: 'kill', fault: 'idle-kill-1', clientPort, link: 9, atMs, how: 'drop', idleMs: 4000 });

describe('kills', () => {
  it('are joined by the port of the connection that had it then: ports are used again', () => {
    const hand = ambient();
    hand.conn(1, 'opening', 0).conn(1, 'open', 10, { localPort: 4001 }).conn(1, 'close', 5000);
    hand.conn(2, 'opening', 6000, { worker: 1 }).conn(2, 'open', 6010, { worker: 1, localPort: 4001 });
    hand.conn(2, 'close', 30_000, { worker: 1 });
    hand.conn(3, 'opening', 40_000).conn(3, 'open', 40_010, { localPort: 4001 });
    kill(hand, 4001, 20_000);
    const { kills } = hand.measure();
    expect(kills).toMatchObject([
      { worker: 1, conn: 2, killedMs: 20_000, discoveredMs: 30_000, submitsHit: 0, blockedMs: null },
    ]);
  });

  it('of nobody’s connection stay unjoined', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 });
    hand.conn(2, 'open', 10, { localPort: 4999 }).conn(2, 'close', 5000);
    kill(hand, 4999, 20_000);
    const { kills, killTotals } = hand.measure();
    expect(kills).toMatchObject([{ worker: null, conn: null, discoveredMs: null }]);
    expect(killTotals).toEqual({ kills: 1, joined: 0, discovered: 0, submitsHit: 0 });
  });

  it('are discovered by the next borrow, which blocks its submit and others', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 }).conn(2, 'open', 10, { localPort: 4002 });
    hand.conn(1, 'borrow', 2000).conn(1, 'release', 2005);
    hand.settle(hand.submit(2000), 2005, 'acked', [ended.acked(2000)]);
    kill(hand, 4001, 10_000);
    hand.conn(1, 'borrow', 20_000);
    hand.settle(hand.submit(20_000), 23_000, 'failed', [
      tried(20_000, {
        acquiredAt: 20_000,
        step: 'begin',
        commitSent: false,
        answered: false,
        tag: null,
        outcome: 'failed',
        endedAt: 23_000,
        error: error(),
      }),
    ]);
    hand.conn(1, 'close', 23_000);
    hand.settle(hand.submit(21_000), 23_500, 'failed', [ended.unacquired(21_000, 2500)]);
    hand.settle(hand.submit(21_000, { worker: 1 }), 23_500, 'failed', [ended.unacquired(21_000, 2500)]);
    const { kills, killTotals, examples } = hand.measure();
    expect(kills).toMatchObject([
      {
        fault: 'idle-kill-1',
        how: 'drop',
        idleMs: 4000,
        discoveredMs: 20_000,
        submitsHit: 1,
        blockedMs: 3000,
        waitersDuring: 1,
      },
    ]);
    expect(killTotals).toEqual({ kills: 1, joined: 1, discovered: 1, submitsHit: 1 });
    expect(examples['killed-under']).toHaveLength(1);
  });

  it('a borrow that hangs for ever blocks until all is closed', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 });
    kill(hand, 4001, 10_000);
    hand.conn(1, 'borrow', 20_000);
    const hung = tried(20_000, {
      acquiredAt: 20_000,
      step: 'begin',
      commitSent: false,
      answered: false,
      tag: null,
      outcome: null,
      endedAt: null,
    });
    hand.settle(hand.submit(20_000), 80_001, 'indeterminate', [hung], true);
    hand.worker(80_000, 'closing');
    hand.conn(1, 'close', 80_300);
    expect(hand.measure().kills).toMatchObject([{ submitsHit: 1, blockedMs: 60_000 }]);
  });

  it('under a submit at work is discovered there and then', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 }).conn(1, 'borrow', 9000);
    kill(hand, 4001, 10_000);
    hand.settle(hand.submit(9000), 12_000, 'failed', [ended.failed(9000, 3000)]);
    hand.conn(1, 'close', 12_000);
    expect(hand.measure().kills).toMatchObject([{ discoveredMs: 10_000, submitsHit: 1, blockedMs: 2000 }]);
  });

  it('of a leaked connection nobody looks at is discovered by nobody', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 }).conn(1, 'borrow', 2000);
    hand.settle(hand.submit(2000, { valid: false }), 2004, 'rejected', [ended.rejected(2000)]);
    kill(hand, 4001, 10_000);
    hand.worker(80_000, 'closing').conn(1, 'close', 80_100);
    expect(hand.measure().kills).toMatchObject([{ conn: 1, discoveredMs: null, submitsHit: 0 }]);
  });

  it('a validated borrow is discovered, and hits nobody', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 });
    kill(hand, 4001, 10_000);
    hand.conn(1, 'borrow', 20_000).conn(1, 'close', 20_001);
    hand.conn(2, 'open', 20_010).conn(2, 'borrow', 20_010);
    hand.settle(hand.submit(20_000), 20_020, 'acked', [
      tried(20_000, { conn: 2, acquiredAt: 20_010, endedAt: 20_020 }),
    ]);
    expect(hand.measure().kills).toMatchObject([{ discoveredMs: 20_000, submitsHit: 0, blockedMs: null }]);
  });
});

describe('leases told by their attempts', () => {
  const lease = (fromMs: number, toMs: number | null, over: Partial<Attempt> = {}) =>
    tried(fromMs, { acquiredAt: fromMs, releasedAt: toMs, endedAt: toMs, ...over });

  const failed = { outcome: 'failed', commitSent: false, answered: false, tag: null, step: 'begin' } as const;

  it('give the same as borrows and releases told by themselves', () => {
    const told = (byAttempt: boolean) => {
      const hand = ambient();
      hand.conn(1, 'open', 10, { localPort: 4001 });
      for (const [fromMs, toMs] of [
        [2000, 2005],
        [20_000, 23_000],
      ] as const) {
        if (!byAttempt) hand.conn(1, 'borrow', fromMs).conn(1, 'release', toMs);
        const releasedAt = byAttempt ? { releasedAt: toMs } : {};
        const attempt = tried(fromMs, { acquiredAt: fromMs, endedAt: toMs, ...releasedAt, ...failed });
        hand.settle(hand.submit(fromMs), toMs, 'failed', [attempt]);
      }
      kill(hand, 4001, 10_000);
      return hand.measure().kills.map(found => ({ ...found, line: 0 }));
    };
    expect(told(true)).toMatchObject([{ discoveredMs: 20_000, submitsHit: 1 }]);
    expect(told(true)).toEqual(told(false));
  });

  it('of a retry that settles after others had its first connection stand in their own order', () => {
    const hand = ambient();
    hand.conn(1, 'open', 10, { localPort: 4001 }).conn(2, 'open', 10);
    hand.settle(hand.submit(3000), 3010, 'acked', [lease(3000, 3010)]);
    // Borrowed before that one, settled after it, on its second connection.
    hand.settle(hand.submit(2000), 5000, 'acked', [
      lease(2000, 2500, failed),
      lease(4000, 5000, { n: 1, conn: 2 }),
    ]);
    kill(hand, 4001, 2600);
    expect(hand.measure().kills).toMatchObject([{ discoveredMs: 3000 }]);
  });

  it('never given back is leaked, told to its end it is not', () => {
    const hand = new Hand(candidate({ max: null }));
    for (const [conn, toMs] of [
      [1, null],
      [2, 200],
      [3, null],
    ] as const) {
      hand.conn(conn, 'open', 100);
      const attempt = ended.rejected(100, 10, conn);
      hand.settle(hand.submit(100, { valid: false }), 210, 'rejected', [{ ...attempt, releasedAt: toMs }]);
    }
    hand.refused(5000);
    expect(hand.measure().connections).toMatchObject({ leakedAtFirstRefusal: 2 });
  });
});
