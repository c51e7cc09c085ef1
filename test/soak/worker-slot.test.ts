import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Clock, realClock, trialClock } from '../../src/clock.ts';
import { Ledger, readLedger } from '../../src/ledger/ledger.ts';
import type { LedgerRecord, Settled } from '../../src/ledger/record.ts';
import type { WorkerHears } from '../../src/soak/link.ts';
import { WorkerSlot } from '../../src/soak/worker-slot.ts';
import type { ToWorker } from '../../src/worker/protocol.ts';
import { removeTempFolders, tempFolder } from '../fixtures/soak-it.ts';
import { handPlan } from '../metrics/hand.ts';

/** A clock that goes on only when it is told to. */
class HandClock implements Clock {
  #now = 1000;
  #due: { atMs: number; everyMs: number | null; act: () => void }[] = [];

  nowMs = () => this.#now;
  sleepMs = (ms: number, signal?: AbortSignal) =>
    new Promise<void>(wake => {
      this.after(ms, wake);
      signal?.addEventListener('abort', () => wake());
    });
  after = (ms: number, act: () => void) => this.#add(ms, null, act);
  every = (ms: number, act: () => void) => this.#add(ms, ms, act);

  #add(ms: number, everyMs: number | null, act: () => void): () => void {
    const entry = { atMs: this.#now + ms, everyMs, act };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter(other => other !== entry);
    };
  }

  async go(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#due.filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs);
      if (!next) break;
      this.#now = next.atMs;
      if (next.everyMs === null) this.#due = this.#due.filter(other => other !== next);
      else next.atMs += next.everyMs;
      next.act();
      await new Promise(setImmediate);
    }
    this.#now = end;
  }
}

interface Life {
  hears: WorkerHears;
  heard: ToWorker[];
  ended: string[];
}

function slot() {
  const hand = new HandClock();
  const clock = trialClock(hand);
  const path = join(tempFolder(), 'x.ndjson');
  const ledger = new Ledger({ path, nowMs: clock.nowMs, secrets: [] });
  const lives: Life[] = [];
  const settled: Settled[] = [];
  const lost: number[] = [];
  const worker = new WorkerSlot(0, {
    plan: handPlan,
    clock,
    ledger,
    open: { endpoint: {} as never, tables: { writes: 'w', keys: 'k' } },
    settled: fact => settled.push(fact),
    lost: open => lost.push(open),
    spawn: (_worker, _life, hears) => {
      const life: Life = { hears, heard: [], ended: [] };
      lives.push(life);
      return { send: message => life.heard.push(message), end: how => life.ended.push(how) };
    },
  });
  worker.start();
  clock.start();
  const facts = (): LedgerRecord[] => {
    ledger.flush();
    return [...readLedger(path)];
  };
  const say = (message: object) => lives.at(-1)!.hears.message(message);
  const ready = () =>
    say({
      k: 'ready',
      v: 1,
      at: hand.nowMs(),
      capabilities: { conn: true, gauges: true, virtual: true },
      versions: {},
    });
  const events = () => facts().flatMap(fact => (fact.k === 'worker' ? [fact.ev] : []));
  return { worker, hand, lives, settled, lost, facts, say, ready, events };
}

const submit = (id: number) => ({ k: 'submit', id, session: 0, seq: id, rows: 2, valid: true }) as const;
const answer = (id: number, at: number) => ({
  k: 'settled',
  id,
  at,
  outcome: 'acked',
  attempts: [],
  releaseError: null,
});
const gauges = {
  k: 'gauges',
  at: 1000,
  total: 1,
  idle: 1,
  acquired: 0,
  waiting: 0,
  max: 2,
  since: { waitingMax: 0, acquiredMax: 0, oldestWaitMs: 0 },
  counters: { acquires: 0, acquireTimeouts: 0, opened: 0, closed: 0, destroyed: 0, leases: 0 },
  loopDelayP99Ms: null,
  rssBytes: null,
  cpuMs: null,
};

afterAll(removeTempFolders);

describe('a worker slot', () => {
  it('takes submits once its worker is ready, and tells what it settles on the trial clock', async () => {
    const { worker, ready, say, hand, settled } = slot();
    expect(worker.submit(submit(1))).toBe('worker-down');
    ready();
    expect(worker.submit(submit(1))).toBe('sent');
    await hand.go(50);
    say(answer(1, 1040));
    expect(settled).toMatchObject([{ id: 1, atMs: 40, outcome: 'acked', open: false }]);
  });

  it('takes a second answer, or one to a submit never sent, for a violation', () => {
    const { worker, ready, say, settled, events } = slot();
    ready();
    worker.submit(submit(1));
    say(answer(1, 1001));
    say(answer(1, 1002));
    say(answer(7, 1002));
    expect(settled).toHaveLength(1);
    expect(events().filter(ev => ev === 'protocol')).toHaveLength(2);
  });

  it('lets unknown messages be, and takes ill-shaped ones for violations', () => {
    const { ready, say, facts } = slot();
    ready();
    say({ k: 'weather', is: 'fine' });
    say({ k: 'conn', conn: 1, ev: 'vanish', at: 1 });
    say([1, 2]);
    const violations = facts().flatMap(fact =>
      fact.k === 'worker' && fact.ev === 'protocol' ? [fact.detail] : [],
    );
    expect(violations).toEqual([expect.stringContaining('conn.ev'), 'a line that is no object with a "k"']);
  });

  it("keeps a worker's own fields out of the ledger", () => {
    const { ready, say, facts } = slot();
    ready();
    say({ ...gauges, i: 7, worker: 9, life: 9, colour: 'blue' });
    const [kept] = facts().filter(fact => fact.k === 'gauges');
    expect(kept).toMatchObject({ worker: 0, life: 1, total: 1 });
    expect(kept).not.toHaveProperty('colour');
  });

  it('keeps so many violations and no more', () => {
    const { ready, lives, facts } = slot();
    ready();
    for (let n = 0; n < 500; n += 1) lives[0]!.hears.violation('not JSON: hello');
    const kept = facts().filter(fact => fact.k === 'worker' && fact.ev === 'protocol');
    expect(kept).toHaveLength(100);
    expect(kept.at(-1)).toMatchObject({ detail: 'not JSON: hello [no more are kept: limit 100]' });
  });

  it('starts a dead worker again after 1 s, 2 s, 4 s, and says when that becomes a loop', async () => {
    const { worker, ready, lives, hand, lost, events } = slot();
    ready();
    worker.submit(submit(1));
    for (const waitMs of [1000, 2000, 4000, 8000, 15_000]) {
      const before = lives.length;
      lives.at(-1)!.hears.exit('exit code 1');
      expect(worker.submit(submit(2))).toBe('worker-down');
      await hand.go(waitMs - 1);
      expect(lives).toHaveLength(before);
      await hand.go(1);
      expect(lives).toHaveLength(before + 1);
    }
    expect(lost).toEqual([1, 0, 0, 0, 0]);
    expect(events().filter(ev => ev === 'crash-loop')).toHaveLength(1);
  });

  it('says once that nothing is heard, and is no crash', async () => {
    const { ready, hand, say, events } = slot();
    ready();
    await hand.go(5000);
    expect(events()).toEqual(['spawn', 'ready', 'stalled']);
    say({ k: 'beat' });
    await hand.go(5000);
    expect(events()).toEqual(['spawn', 'ready', 'stalled', 'stalled']);
  });

  it('ends a worker that does not close: TERM, 2 s later KILL', async () => {
    const { worker, ready, lives, hand, events } = slot();
    ready();
    const closing = worker.close(300);
    await hand.go(401);
    expect(lives[0]!.ended).toEqual(['TERM']);
    await hand.go(2000);
    expect(lives[0]!.ended).toEqual(['TERM', 'KILL']);
    lives[0]!.hears.exit('signal SIGKILL');
    await closing;
    // Nothing is heard of it meanwhile, which is told too.
    expect(events()).toEqual(['spawn', 'ready', 'closing', 'close-hung', 'stalled', 'exit']);
    expect(lives).toHaveLength(1);
  });

  it('is no crash when a worker that was asked to closes', async () => {
    const { worker, ready, lives, say, facts } = slot();
    ready();
    const closing = worker.close(300);
    say({ k: 'closed', at: 1000 });
    lives[0]!.hears.exit('exit code 0');
    await closing;
    expect(facts().filter(fact => fact.k === 'worker' && fact.crash)).toEqual([]);
  });

  it('uses only durations of a worker whose clock is another', () => {
    const { worker, ready, lives, say, settled } = slot();
    ready();
    for (let n = 1; n <= 5; n += 1) say({ k: 'pong', n, at: 9_000_000 });
    expect(lives[0]!.heard.filter(({ k }) => k === 'ping')).toHaveLength(5);
    worker.submit(submit(1));
    const attempt = {
      n: 0,
      conn: 1,
      startedAt: 9_000_000,
      acquiredAt: 9_000_001,
      commitSent: true,
      answered: true,
      tag: 'COMMIT',
      step: 'commit',
      outcome: 'acked',
      endedAt: 9_000_004,
      error: null,
    };
    say({ ...answer(1, 9_000_005), attempts: [attempt] });
    expect(settled[0]).toMatchObject({ atMs: 0, attempts: [{ startedAt: -5, acquiredAt: -4, endedAt: -1 }] });
  });
});

describe('the real clock', () => {
  it('is CLOCK_MONOTONIC, as the workers tell it', () => {
    const before = Number(process.hrtime.bigint()) / 1e6;
    const now = realClock.nowMs();
    const after = Number(process.hrtime.bigint()) / 1e6;
    expect(now).toBeGreaterThanOrEqual(before - 0.01);
    expect(now).toBeLessThanOrEqual(after + 0.01);
  });
});
