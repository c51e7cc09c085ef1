import { describe, expect, it } from 'vitest';
import { candidate, ended, error, fault, Hand, tried } from './hand.ts';

/** Patience 10 s and no acquire timeout: a wait of more than 2.5 s is long. The pool holds 2. */
const episodesOf = (hand: Hand) => hand.note(95_000, 'phase', 'drain').measure().exhaustion;

/** A lease of connection `conn` by a submit that settles at its end. */
function lease(hand: Hand, conn: number, fromMs: number, toMs: number, { worker = 0 } = {}): void {
  hand.conn(conn, 'borrow', fromMs, { worker }).conn(conn, 'release', toMs, { worker });
  const attempt = tried(fromMs, { conn, acquiredAt: fromMs, endedAt: toMs });
  hand.settle(hand.submit(fromMs, { worker }), toMs, 'acked', [attempt]);
}

/** A submit that waits from `fromMs` to `toMs` and is given a connection then. */
function waiter(hand: Hand, conn: number, fromMs: number, toMs: number, { worker = 0 } = {}): void {
  hand.conn(conn, 'borrow', toMs, { worker }).conn(conn, 'release', toMs + 10, { worker });
  const attempt = tried(fromMs, { conn, acquiredAt: toMs, endedAt: toMs + 10 });
  hand.settle(hand.submit(fromMs, { worker }), toMs + 10, 'acked', [attempt]);
}

function opened(hand: Hand, ...conns: number[]): Hand {
  for (const conn of conns) hand.conn(conn, 'opening', 0).conn(conn, 'open', 5);
  return hand;
}

describe('client-limit', () => {
  it('the oldest waiter waits too long with every connection in use', () => {
    const hand = opened(new Hand(), 1, 2);
    lease(hand, 1, 10_000, 14_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 11_000, 14_000);
    expect(episodesOf(hand)).toMatchObject([
      {
        cause: 'client-limit',
        also: [],
        fromMs: 13_500,
        toMs: 14_000,
        max: 2,
        submits: 1,
        waitingMax: 1,
        spoilt: false,
      },
    ]);
  });

  it('a normal burst is none: 2.5 s is not too long', () => {
    const hand = opened(new Hand(), 1, 2);
    lease(hand, 1, 10_000, 13_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 10_500, 13_000);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('half the acquire timeout is what counts where that is less', () => {
    const hand = opened(new Hand(candidate({ acquireTimeoutMs: 1000 })), 1, 2);
    lease(hand, 1, 10_000, 11_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 10_300, 11_000);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'client-limit', fromMs: 10_800, toMs: 11_000 }]);
  });

  it('does not apply without a bound', () => {
    const hand = opened(new Hand(candidate({ max: null })), 1, 2);
    lease(hand, 1, 10_000, 14_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 11_000, 14_000);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('is of one worker: the other one’s free connections help nobody', () => {
    const hand = opened(new Hand(), 1, 2);
    hand.conn(1, 'open', 0, { worker: 1 }).conn(2, 'open', 0, { worker: 1 });
    lease(hand, 1, 10_000, 14_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 11_000, 14_000);
    lease(hand, 1, 10_000, 10_100, { worker: 1 });
    expect(episodesOf(hand)).toMatchObject([{ cause: 'client-limit' }]);
  });

  it('counts who waited, and the most at once', () => {
    const hand = opened(new Hand(), 1, 2);
    lease(hand, 1, 10_000, 15_000);
    lease(hand, 2, 10_000, 20_000);
    waiter(hand, 1, 11_000, 15_000);
    waiter(hand, 1, 14_000, 15_010);
    waiter(hand, 1, 14_990, 15_030);
    waiter(hand, 1, 16_000, 16_010);
    expect(episodesOf(hand)).toMatchObject([{ submits: 3, waitingMax: 3 }]);
  });

  it('two that are less than a second apart are one, else two', () => {
    const at = (secondMs: number) => {
      const hand = opened(new Hand(), 1, 2);
      lease(hand, 2, 9000, 40_000);
      lease(hand, 1, 9000, 13_000);
      waiter(hand, 1, 10_000, 13_000);
      lease(hand, 1, 13_010, secondMs);
      waiter(hand, 1, secondMs - 3000, secondMs);
      return episodesOf(hand);
    };
    // The first ends at 13 000, the second begins 500 before its end.
    expect(at(14_500)).toMatchObject([{ fromMs: 12_500, toMs: 14_500 }]);
    expect(at(14_501)).toHaveLength(2);
  });
});

describe('starved', () => {
  it('the same wait while slots are held by connections that are closing or dead', () => {
    const hand = opened(new Hand(), 1);
    hand.conn(2, 'opening', 9000); // never opens
    lease(hand, 1, 10_000, 10_500);
    waiter(hand, 1, 11_000, 15_000);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'starved', fromMs: 13_500, toMs: 15_000, submits: 1 }]);
  });

  it('not between two leases: a slot is free for an instant', () => {
    const hand = opened(new Hand(), 1, 2);
    lease(hand, 2, 10_000, 20_000);
    lease(hand, 1, 10_000, 12_000);
    lease(hand, 1, 12_003, 14_000);
    waiter(hand, 1, 10_500, 14_000);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'client-limit', also: [] }]);
  });

  it('not while a connection is on its way and arrives', () => {
    const hand = opened(new Hand(), 1);
    lease(hand, 1, 10_000, 20_000);
    hand.conn(2, 'opening', 11_000).conn(2, 'open', 15_000);
    waiter(hand, 2, 11_000, 15_001);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('not while a slot is free for whoever connects: then the server is waited for', () => {
    const hand = opened(new Hand(), 1);
    hand.conn(1, 'close', 9000);
    hand.conn(2, 'opening', 10_000).conn(2, 'close', 15_000);
    hand.settle(hand.submit(10_000), 15_000, 'failed', [ended.unacquired(10_000, 5000)]);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('not while the server is gone; what goes on longer is', () => {
    const dead = (toMs: number) => {
      const hand = opened(new Hand({ faults: [fault('restart-1', 'outage', 10_000, 20_000)] }));
      hand.outage('restart-1', 10_000, 20_000);
      hand.conn(1, 'opening', 9000).conn(2, 'opening', 9000);
      hand.settle(hand.submit(10_500), toMs, 'failed', [ended.unacquired(10_500, toMs - 10_500)]);
      return episodesOf(hand);
    };
    expect(dead(21_000)).toEqual([]);
    // Grace ends at 21 000; 2.5 s later it is starved.
    expect(dead(24_000)).toMatchObject([{ cause: 'starved', fromMs: 23_500, toMs: 24_000 }]);
  });
});

describe('server-limit', () => {
  const refusedAt = (hand: Hand, atMs: number) =>
    hand.settle(hand.submit(atMs - 5), atMs, 'failed', [
      ended.unacquired(atMs - 5, 5, { sqlState: '53300' }),
    ]);

  it('one refusal that a worker saw', () => {
    const hand = new Hand(candidate({ max: null }));
    refusedAt(hand, 5000);
    const { exhaustion, refusals, connections } = hand.measure();
    expect(exhaustion).toMatchObject([
      { cause: 'server-limit', fromMs: 5000, toMs: 5000, submits: 1, waitingMax: 1, max: null },
    ]);
    expect(refusals).toEqual({ worker: 1, log: 0 });
    expect(connections.firstRefusalMs).toBe(5000);
  });

  it('one that only the server’s log shows: a client may see a broken connection', () => {
    const hand = new Hand();
    hand.refused(5000);
    hand.settle(hand.submit(4990), 5001, 'failed', [ended.unacquired(4990, 11, { code: 'ECONNRESET' })]);
    const { exhaustion, refusals } = hand.measure();
    expect(exhaustion).toMatchObject([{ cause: 'server-limit', submits: 1 }]);
    expect(refusals).toEqual({ worker: 0, log: 1 });
  });

  it('of MySQL and MariaDB, by errno', () => {
    const hand = new Hand({ engine: 'mysql' });
    for (const [n, errno] of [1040, 1203, 1226, 1045].entries()) {
      const attempt = { ...ended.unacquired(n * 5000, 5), error: error({ sqlState: '08004', errno }) };
      hand.settle(hand.submit(n * 5000), n * 5000 + 5, 'failed', [attempt]);
    }
    expect(hand.measure().refusals.worker).toBe(3);
  });

  it('those within a second are one', () => {
    const hand = new Hand();
    for (const atMs of [5000, 6000, 7001]) hand.refused(atMs);
    expect(hand.measure().exhaustion).toMatchObject([
      { fromMs: 5000, toMs: 6000 },
      { fromMs: 7001, toMs: 7001 },
    ]);
  });

  it('or within three usual gaps, once there are enough gaps to be usual', () => {
    const hand = new Hand();
    for (const atMs of [10_000, 11_200, 12_400, 13_600, 14_800, 18_400, 22_001]) hand.refused(atMs);
    // The median gap is 1200: 3600 is within, 3601 is not.
    expect(hand.measure().exhaustion).toMatchObject([
      { fromMs: 10_000, toMs: 18_400 },
      { fromMs: 22_001, toMs: 22_001 },
    ]);
  });
});

describe('leak', () => {
  it('a lease still out more than 5 s after its submit settled', () => {
    const hand = opened(new Hand(), 1);
    hand.conn(1, 'borrow', 1000);
    hand.settle(hand.submit(1000, { valid: false }), 1010, 'rejected', [ended.rejected(1000, 10, 1)]);
    hand.conn(1, 'close', 40_000);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'leak', fromMs: 6010, toMs: 40_000 }]);
  });

  it('not within 5 s', () => {
    const hand = opened(new Hand(), 1);
    hand.conn(1, 'borrow', 1000);
    hand.settle(hand.submit(1000), 1010, 'acked', [ended.acked(1000, 10, 1)]);
    hand.conn(1, 'release', 6010);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('not while its submit is on its way', () => {
    const hand = opened(new Hand(), 1);
    lease(hand, 1, 1000, 50_000);
    hand.conn(2, 'borrow', 1000);
    hand.submit(1000);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('without leases: a connection opened for a submit and not closed', () => {
    const hand = new Hand(candidate({ max: null }));
    hand.conn(7, 'opening', 995).conn(7, 'open', 1000);
    hand.settle(hand.submit(995), 1010, 'rejected', [ended.rejected(995, 10, 7)]);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'leak', fromMs: 6010, toMs: 95_000 }]);
  });

  it('not a connection that somebody else uses next, nor one that was there before', () => {
    const hand = new Hand(candidate({ max: null }));
    hand.conn(7, 'opening', 995).conn(7, 'open', 1000).conn(8, 'open', 0);
    hand.settle(hand.submit(995), 1010, 'acked', [ended.acked(995, 10, 7)]);
    hand.settle(hand.submit(3000), 3010, 'acked', [ended.acked(3000, 10, 7)]);
    hand.settle(hand.submit(4000), 4010, 'acked', [ended.acked(4000, 10, 8)]);
    expect(episodesOf(hand)).toEqual([]);
  });

  it('ends with its worker, and with the trial', () => {
    const hand = opened(new Hand(), 1);
    hand.conn(1, 'borrow', 1000);
    hand.settle(hand.submit(1000), 1010, 'acked', [ended.acked(1000, 10, 1)]);
    hand.worker(20_000, 'exit', { crash: true });
    hand.conn(1, 'open', 0, { worker: 1 }).conn(1, 'borrow', 30_000, { worker: 1 });
    hand.settle(hand.submit(30_000, { worker: 1 }), 30_010, 'acked', [ended.acked(30_000, 10, 1)]);
    hand.worker(60_000, 'closing', { worker: 1 });
    expect(episodesOf(hand)).toMatchObject([
      { cause: 'leak', fromMs: 6010, toMs: 20_000 },
      { cause: 'leak', fromMs: 35_010, toMs: 60_000 },
    ]);
  });

  it('is a scaled time', () => {
    const hand = opened(new Hand({ secondMs: 100 }), 1);
    hand.conn(1, 'borrow', 1000).conn(1, 'release', 1600);
    hand.settle(hand.submit(1000), 1010, 'acked', [ended.acked(1000, 10, 1)]);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'leak', fromMs: 1510, toMs: 1600 }]);
  });
});

describe('connections leaked at the first refusal', () => {
  it('those of settled submits that are still out then, however short', () => {
    const hand = new Hand(candidate({ max: null }));
    const leak = (conn: number, atMs: number, kind: 'rejected' | 'acked' = 'rejected') => {
      hand.conn(conn, 'opening', atMs).conn(conn, 'open', atMs).conn(conn, 'borrow', atMs);
      const id = hand.submit(atMs, { valid: kind === 'acked' });
      hand.settle(id, atMs + 10, kind, [ended[kind](atMs, 10, conn)]);
    };
    leak(1, 100);
    leak(2, 200);
    leak(3, 300);
    hand.conn(3, 'close', 400);
    leak(4, 450, 'acked');
    hand.conn(4, 'release', 461);
    leak(5, 4991); // its submit settles after the refusal
    leak(6, 4985); // settled just before
    hand.refused(5000);
    leak(7, 6000);
    expect(hand.measure().connections).toMatchObject({
      firstRefusalMs: 5000,
      leakedAtFirstRefusal: 3,
      rejectedAtFirstRefusal: 4,
    });
  });

  it('nobody was refused', () => {
    const hand = opened(new Hand(), 1);
    expect(hand.measure().connections).toMatchObject({ firstRefusalMs: null, leakedAtFirstRefusal: null });
  });
});

describe('broken-timeout', () => {
  const waits = (waitMs: number, acquireTimeoutMs: number, delayMs = 0) => {
    const hand = new Hand(candidate({ acquireTimeoutMs, max: null }));
    if (delayMs > 0) hand.gauges(10_100, delayMs);
    hand.settle(hand.submit(10_000), 10_000 + waitMs, 'failed', [ended.unacquired(10_000, waitMs)]);
    return episodesOf(hand);
  };

  it('an acquire that outlives its own timeout by 50 ms, or a tenth', () => {
    expect(waits(350, 300)).toEqual([]);
    expect(waits(351, 300)).toMatchObject([{ cause: 'broken-timeout', fromMs: 10_350, toMs: 10_351 }]);
    expect(waits(3300, 3000)).toEqual([]);
    expect(waits(3301, 3000)).toMatchObject([{ cause: 'broken-timeout' }]);
  });

  it('and by its worker’s event-loop delay', () => {
    expect(waits(390, 300, 40)).toEqual([]);
    expect(waits(391, 300, 40)).toMatchObject([{ cause: 'broken-timeout' }]);
  });

  it('one that never ended, and one that was granted too late', () => {
    const hand = new Hand(candidate({ acquireTimeoutMs: 300 }));
    const open = { ...ended.unacquired(1000, 0), endedAt: null, outcome: null, error: null };
    hand.settle(hand.submit(1000), 90_000, 'indeterminate', [open], true);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'broken-timeout', fromMs: 1350, toMs: 90_000 }]);
    const late = opened(new Hand(candidate({ acquireTimeoutMs: 300, max: null })), 1);
    waiter(late, 1, 1000, 2000);
    expect(episodesOf(late)).toMatchObject([{ cause: 'broken-timeout', toMs: 2000 }]);
  });

  it('none without a timeout', () => {
    const hand = new Hand(candidate({ max: null }));
    hand.settle(hand.submit(0), 9000, 'failed', [ended.unacquired(0, 9000)]);
    expect(episodesOf(hand)).toEqual([]);
  });
});

describe('episodes that overlap are one', () => {
  it('named by the first of leak, broken-timeout, starved, server-limit, client-limit', () => {
    const hand = opened(new Hand(), 1, 2);
    // Two leaks, so all is in use; a waiter; a refusal by the server.
    for (const conn of [1, 2]) {
      hand.conn(conn, 'borrow', 1000);
      hand.settle(hand.submit(1000), 1010, 'acked', [ended.acked(1000, 10, conn)]);
      hand.conn(conn, 'release', 9000);
    }
    waiter(hand, 1, 3000, 9000);
    hand.refused(7000);
    hand.refused(60_000);
    expect(episodesOf(hand)).toMatchObject([
      { cause: 'leak', also: ['server-limit', 'client-limit'], fromMs: 5500, toMs: 9000 },
      { cause: 'server-limit', also: [], fromMs: 60_000 },
    ]);
  });

  it('another cause within a second is of the same episode, later it is not', () => {
    const refusedAt = (atMs: number) => {
      const hand = opened(new Hand(), 1, 2);
      lease(hand, 1, 10_000, 14_000);
      lease(hand, 2, 10_000, 20_000);
      waiter(hand, 1, 11_000, 14_000);
      return episodesOf(hand.refused(atMs)).map(({ cause, also }) => [cause, ...also]);
    };
    expect(refusedAt(15_000)).toEqual([['server-limit', 'client-limit']]);
    expect(refusedAt(15_001)).toEqual([['client-limit'], ['server-limit']]);
  });

  it('an attempt more of one submit is not one submit more', () => {
    const hand = new Hand();
    hand.settle(hand.submit(1000), 1100, 'failed', [
      ended.unacquired(1000, 20, { sqlState: '53300' }),
      ended.unacquired(1050, 20, { sqlState: '53300' }),
    ]);
    expect(episodesOf(hand)).toMatchObject([{ cause: 'server-limit', submits: 1 }]);
  });
});

it('an episode is the machine’s doing when only spoilt submits show it', () => {
  const starve = (spoilt: boolean) => {
    const hand = opened(new Hand(), 1);
    hand.conn(2, 'opening', 9000);
    lease(hand, 1, 10_000, 10_500);
    hand.conn(1, 'borrow', 15_000).conn(1, 'release', 15_010);
    const id = hand.submit(11_000, { sentMs: spoilt ? 13_600 : 11_000 });
    hand.settle(id, 15_010, 'acked', [tried(11_000, { conn: 1, acquiredAt: 15_000, endedAt: 15_010 })]);
    return episodesOf(hand)[0]!;
  };
  expect(starve(true)).toMatchObject({ cause: 'starved', spoilt: true });
  expect(starve(false)).toMatchObject({ cause: 'starved', spoilt: false });
});
