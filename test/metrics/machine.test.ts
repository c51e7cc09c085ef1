import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan.ts';
import { candidate, fault, Hand, manyFine, withRestart } from './hand.ts';

/** Patience 10 s: a delay over 2.5 s spoils. */
describe('spoilt by the machine', () => {
  const spoiltBy = (prepare: (hand: Hand) => void) => {
    const hand = new Hand();
    prepare(hand);
    return hand.measure();
  };

  it('sent too late', () => {
    const metrics = spoiltBy(hand => {
      hand.fine(0, 3000, { sentMs: 2500 });
      hand.fine(10_000, 3000, { sentMs: 12_501 });
    });
    expect(metrics.writes).toMatchObject({ spoilt: 1, fine: 2, acked: 2 });
    expect(metrics.latency.n).toBe(1);
    expect(metrics.acquire.n).toBe(1);
    expect(metrics.ackLatency.n).toBe(1);
    expect(metrics.harness.spoiltShare).toBe(0.5);
    expect(metrics.examples.spoilt).toHaveLength(1);
  });

  it('its worker’s event loop stood still meanwhile', () => {
    const { writes } = spoiltBy(hand => {
      hand.gauges(5000, 1).gauges(8000, 2600).gauges(8100, 2500);
      hand.fine(4900, 50); // over before
      hand.fine(7000, 50); // within
      hand.fine(7000, 50, { worker: 1 }); // another worker
      hand.fine(8050, 20); // 2500 is not over 2500
    });
    expect(writes.spoilt).toBe(1);
  });

  it('in whose second a SELECT 1 of our own was too slow', () => {
    const probe = (hand: Hand, t: number, tookMs: number) =>
      hand.say(t, { k: 'probe', what: 'machine', fault: null, works: true, tookMs, code: null });
    const { writes, harness } = spoiltBy(hand => {
      probe(hand, 900, 2);
      probe(hand, 7500, 2501); // from 4999 on: seconds 4 to 7
      hand.fine(3900, 50);
      hand.fine(3990, 50); // ends in second 4
      hand.fine(7900, 50);
      hand.fine(8001, 50);
    });
    expect(writes.spoilt).toBe(2);
    expect(harness.probeP99Ms).toBe(2501);
  });

  it('not by a probe that a fault disturbs', () => {
    const hand = withRestart().outage('restart-1', 20_000, 25_000);
    for (const t of [23_000, 26_500])
      hand.say(t, { k: 'probe', what: 'machine', fault: null, works: false, tookMs: 2900, code: null });
    hand.fine(26_600);
    expect(hand.measure().writes.spoilt).toBe(0);
  });

  it('is never left out of safety, and told apart in unsaved', () => {
    const { writes } = spoiltBy(hand => {
      hand.fineUnstored(0, 3000, { sentMs: 2600 });
      hand.failing(10_000, 3000, { sentMs: 12_600 });
      hand.failing(20_000);
    });
    expect(writes).toMatchObject({ lost: 1, unsaved: 2, unsavedSpoilt: 1, spoilt: 2 });
  });

  it('20 ms are always allowed', () => {
    const hand = new Hand({ patienceMs: 40 });
    hand.fine(0, 30, { sentMs: 20 });
    hand.fine(1000, 30, { sentMs: 1021 });
    expect(hand.measure()).toMatchObject({ writes: { spoilt: 1 }, harness: { spoiltOverMs: 20 } });
  });

  it('counts as good in the best case of recovery', () => {
    const hand = withRestart();
    manyFine(hand, 150, 0);
    hand.outage('restart-1', 20_000, 25_000);
    for (let n = 0; n < 30; n += 1) hand.fine(25_100 + n * 100, 4000, { sentMs: 25_100 + n * 100 + 2600 });
    const [recovery] = hand.measure().recovery;
    expect(recovery).toMatchObject({ state: 'never', best: { state: 'recovered', byMs: 100 } });
  });
});

describe('distortion', () => {
  const fast = (over: Partial<Plan> = {}) => new Hand({ speed: 20, patienceMs: 500, secondMs: 50, ...over });
  const connecting = (hand: Hand, tookMs: number, count = 100) => {
    hand.conn(1000, 'opening', 0).conn(1000, 'open', 1);
    for (let n = 0; n < count; n += 1)
      hand.conn(n, 'opening', 1000 + n * 10).conn(n, 'open', 1000 + n * 10 + tookMs);
    return hand;
  };
  const distortionOf = (hand: Hand) => hand.measure().harness.distortion;

  it('connect against patience', () => {
    expect(distortionOf(connecting(fast(), 25))).toEqual([]);
    expect(distortionOf(connecting(fast(), 30))).toMatchObject([
      {
        what: 'connect',
        costMs: expect.closeTo(30, 1),
        against: 'patience',
        againstMs: 500,
        share: expect.closeTo(0.06, 3),
      },
    ]);
  });

  it('connect against the acquire timeout where that is shorter', () => {
    const hand = connecting(fast(candidate({ acquireTimeoutMs: 100 })), 30);
    expect(distortionOf(hand)).toMatchObject([{ against: 'acquire timeout', againstMs: 100 }]);
  });

  it('not at speed 1: there is nothing to distort', () => {
    expect(distortionOf(connecting(new Hand({ patienceMs: 500 }), 300))).toEqual([]);
  });

  it('not by what a fresh process pays, nor by a fault, nor by a few', () => {
    const cold = fast();
    for (let n = 0; n < 100; n += 1) cold.conn(n, 'opening', n * 4).conn(n, 'open', n * 4 + 300);
    expect(distortionOf(cold)).toEqual([]);
    expect(distortionOf(connecting(fast(), 300, 9))).toEqual([]);
    const faulty = fast({ faults: [fault('latency-1', 'ambient', 900, 9000)] });
    faulty.fault('latency-1', 'inject', 900).fault('latency-1', 'healed', 9000);
    expect(distortionOf(connecting(faulty, 300))).toEqual([]);
  });

  it('a restart’s overhead against its down time', () => {
    const hand = fast({ faults: [fault('restart-1', 'outage', 20_000, 21_000)] }).outage(
      'restart-1',
      20_000,
      21_250,
    );
    expect(distortionOf(hand)).toMatchObject([
      { what: 'restart', costMs: 250, against: 'down time of restart-1', againstMs: 1000, share: 0.25 },
    ]);
  });

  it('event-loop delay against a fault’s idle limit', () => {
    const idleKill = { ...fault('idle-kill-1', 'ambient', 0, 90_000), settings: { after: 100, how: 'drop' } };
    const hand = fast({ faults: [idleKill] }).fault('idle-kill-1', 'inject', 0);
    for (let n = 1; n < 20; n += 1) hand.gauges(n * 100, 12);
    expect(distortionOf(hand)).toMatchObject([
      { what: 'loop-delay', costMs: 12, againstMs: 100, share: 0.12 },
    ]);
  });

  it('a reaper’s step against idle timeouts', () => {
    const settings = { idleTimeout: 4000, idleTransactionTimeout: 10, max: 5, maxIdle: 2 };
    const hand = fast(candidate({ reaperMs: 1000, settings }));
    expect(distortionOf(hand)).toMatchObject([{ what: 'reaper', against: 'idleTimeout', share: 0.25 }]);
  });
});

describe('phases', () => {
  const story = () => {
    const faults = [
      fault('latency-1', 'ambient', 19_000, 22_000),
      fault('restart-1', 'outage', 20_000, 25_000),
    ];
    const hand = new Hand({ faults });
    hand.fault('latency-1', 'inject', 19_000).fault('latency-1', 'healed', 22_000);
    return hand.outage('restart-1', 20_000, 25_000).note(95_000, 'phase', 'drain');
  };

  it('a submit belongs to those that contain its scheduled time', () => {
    const hand = story();
    for (const atMs of [0, 18_999, 19_000, 21_000, 24_000, 25_000, 25_001, 95_000]) hand.fine(atMs);
    const { phases } = hand.measure();
    expect(phases.map(({ name, fromMs, toMs, writes }) => [name, fromMs, toMs, writes.scheduled])).toEqual([
      ['baseline', 0, 19_000, 2],
      ['during:latency-1', 19_000, 22_000, 2],
      ['during:restart-1', 20_000, 25_000, 3],
      ['recovery:restart-1', 25_000, 95_000, 2],
      ['drain', 95_000, 95_005, 0],
    ]);
  });

  it('each has its own counts, latency, waits, connections and memory', () => {
    const hand = story();
    hand.fine(100, 7);
    hand.failing(21_000, 300);
    hand.conn(1, 'open', 50).conn(2, 'open', 21_000).conn(2, 'close', 21_500);
    hand.gauges(200, 1, { rssBytes: 100 }).gauges(21_000, 1, { rssBytes: 300 });
    hand.say(21_100, {
      k: 'sample',
      sessions: 4,
      active: 0,
      idle: 4,
      idleInTransaction: 0,
      harnessLoopDelayMs: 0,
    });
    const [baseline, during] = hand.measure().phases;
    expect(baseline).toMatchObject({
      faults: [],
      writes: { scheduled: 1, fine: 1 },
      latency: { n: 1, maxMs: 7, successRate: 1 },
      acquire: { n: 1 },
      connections: { clientMax: 1, serverMax: null },
      memory: { rssMaxBytes: 100 },
    });
    expect(during).toMatchObject({
      faults: ['latency-1'],
      writes: { scheduled: 1, unsaved: 1, excused: { unsaved: 1 } },
      latency: { n: 1, maxMs: 300, successRate: 0 },
      connections: { clientMax: 2, serverMax: 4 },
      memory: { rssMaxBytes: 300 },
    });
  });

  it('without faults all is baseline', () => {
    const hand = new Hand();
    hand.fine(0);
    hand.fine(50_000);
    expect(hand.measure().phases.map(({ name, writes }) => [name, writes.scheduled])).toEqual([
      ['baseline', 2],
      ['drain', 0],
    ]);
  });
});

describe('what makes a trial unknown', () => {
  const troubleOf = (prepare: (hand: Hand) => void) => {
    const hand = new Hand();
    hand.fine(0);
    prepare(hand);
    return hand.measure().trouble;
  };

  it.each<[string, (hand: Hand) => void, string[]]>([
    ['nothing', () => {}, []],
    [
      'no end',
      hand => {
        hand.complete = false;
      },
      ['interrupted'],
    ],
    ['SIGINT', hand => hand.note(1, 'trouble', 'interrupted', false), ['interrupted']],
    ['guardian', hand => hand.note(1, 'trouble', 'guardian-lost', false), ['guardian-lost']],
    ['proxy', hand => hand.note(1, 'trouble', 'proxy-lost', false), ['proxy-lost']],
    ['server', hand => hand.note(1, 'trouble', 'server-lost', false), ['server-lost']],
    ['something else that stopped it', hand => hand.note(1, 'trouble', 'disk-full', false), ['interrupted']],
    ['a remark', hand => hand.note(1, 'trouble', 'server-log-limit', true), []],
    [
      'rows never read',
      hand => {
        hand.read = false;
      },
      ['no-data'],
    ],
    [
      'counted differently',
      hand => hand.note(1, 'final-read', 'count-again', false, '2, then 3'),
      ['counts-differ'],
    ],
    ['sessions would not end', hand => hand.note(1, 'final-read', 'end-sessions', false), ['counts-differ']],
    ['drain at its limit', hand => hand.note(1, 'final-read', 'drain', false), []],
    ['a worker that had to be killed', hand => hand.note(1, 'final-read', 'close-workers', false), []],
  ])('%s', (_, prepare, trouble) => {
    expect(troubleOf(prepare)).toEqual(trouble);
  });

  it('not a single ack', () => {
    const hand = new Hand();
    hand.failing(0);
    expect(hand.measure().trouble).toEqual(['no-ack']);
  });

  it('the steps of the final read stand in the result, with their lines', () => {
    const hand = new Hand();
    hand.store(hand.fineUnstored(0));
    hand.note(50, 'final-read', 'cut-links');
    const { finalRead } = hand.measure();
    expect(finalRead).toEqual({
      read: true,
      rows: 2,
      steps: [
        { name: 'cut-links', ok: true, detail: null, line: 3 },
        { name: 'read', ok: true, detail: null, line: 6 },
      ],
    });
  });
});

it('protocol violations and crash loops are counted', () => {
  const hand = new Hand();
  hand.worker(1, 'protocol').worker(2, 'protocol').worker(3, 'crash-loop');
  expect(hand.measure()).toMatchObject({
    protocolViolations: { count: 2, details: ['protocol of 0', 'protocol of 0'] },
    crashLoops: 1,
    crashes: 0,
  });
});
