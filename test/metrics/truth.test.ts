import { describe, expect, it } from 'vitest';
import type { Told } from '../../src/ledger/record.ts';
import { cellOf, storedAs } from '../../src/metrics/truth.ts';
import { type Cell, type Counts, cells, type Outcome } from '../../src/metrics/types.ts';
import { ended, Hand, habits } from './hand.ts';

type Column = 'once' | 'never' | 'twice' | 'torn';
const copies: Record<Column, number[]> = { once: [1, 1], never: [], twice: [2, 1], torn: [1, 0] };

/** Every cell of the table: outcome, valid or a planned rejection, what is stored. */
const table: [Outcome, boolean, Column, Cell][] = [
  ['acked', true, 'once', 'fine'],
  ['acked', true, 'never', 'lost'],
  ['acked', true, 'twice', 'duplicated'],
  ['acked', true, 'torn', 'torn'],
  ['indeterminate', true, 'once', 'ghost'],
  ['indeterminate', true, 'never', 'unsaved'],
  ['indeterminate', true, 'twice', 'duplicated'],
  ['indeterminate', true, 'torn', 'torn'],
  ['failed', true, 'once', 'phantom'],
  ['failed', true, 'never', 'unsaved'],
  ['failed', true, 'twice', 'duplicated'],
  ['failed', true, 'torn', 'torn'],
  ['notSent', true, 'once', 'phantom'],
  ['notSent', true, 'never', 'unsaved'],
  ['notSent', true, 'twice', 'duplicated'],
  ['notSent', true, 'torn', 'torn'],
  ['rejected', false, 'once', 'phantom'],
  ['rejected', false, 'never', 'refused'],
  ['rejected', false, 'twice', 'duplicated'],
  ['rejected', false, 'torn', 'torn'],
  ['acked', false, 'once', 'fine'],
  ['acked', false, 'never', 'lost'],
  ['acked', false, 'twice', 'duplicated'],
  ['acked', false, 'torn', 'torn'],
  ['indeterminate', false, 'once', 'ghost'],
  ['indeterminate', false, 'never', 'refused'],
  ['indeterminate', false, 'twice', 'duplicated'],
  ['indeterminate', false, 'torn', 'torn'],
  ['failed', false, 'once', 'phantom'],
  ['failed', false, 'never', 'refused'],
  ['failed', false, 'twice', 'duplicated'],
  ['failed', false, 'torn', 'torn'],
  ['notSent', false, 'once', 'phantom'],
  ['notSent', false, 'never', 'refused'],
  ['notSent', false, 'twice', 'duplicated'],
  ['notSent', false, 'torn', 'torn'],
];

function handed(hand: Hand, outcome: Outcome, valid: boolean): number {
  const id = hand.submit(100, { valid, sent: outcome !== 'notSent' });
  if (outcome === 'notSent') return id;
  const attempt = ended[outcome](100);
  hand.settle(id, 105, outcome as Told, [attempt]);
  return id;
}

describe('the truth table', () => {
  it.each(table)('%s, valid %s, stored %s: %s', (outcome, valid, column, cell) => {
    const hand = new Hand();
    const id = handed(hand, outcome, valid);
    if (column !== 'never') hand.store(id, copies[column]);
    hand.fine(200);
    const { writes } = hand.measure();
    const only = (of: readonly string[], counts: Counts) =>
      of.filter(name => counts[name as Cell] > (name === 'fine' || name === 'acked' ? 1 : 0));
    expect(writes[outcome]).toBe(outcome === 'acked' ? 2 : 1);
    expect(only(cells, writes)).toEqual(cell === 'fine' ? ['fine'] : [cell]);
    expect(writes.scheduled).toBe(2);
  });

  it('an unplanned rejection counts as failed', () => {
    const hand = new Hand();
    hand.settle(hand.submit(0), 5, 'rejected', [ended.rejected(0)]);
    expect(hand.measure().writes).toMatchObject({ rejected: 0, failed: 1, unsaved: 1, refused: 0 });
  });

  it('open at the end of drain is indeterminate, with or without a last word', () => {
    const hand = new Hand();
    const told = hand.submit(0);
    hand.settle(
      told,
      90_000,
      'indeterminate',
      [{ ...ended.failed(0), step: 'begin', endedAt: null, outcome: null, error: null }],
      true,
    );
    hand.submit(1);
    const { writes } = hand.measure();
    expect(writes).toMatchObject({ indeterminate: 2, open: 2, crashed: 0, late: 2, unsaved: 2 });
  });

  it('in flight when its worker died is indeterminate, whatever happened before', () => {
    const hand = new Hand();
    hand.store(hand.submit(0));
    hand.submit(1);
    hand.fine(2);
    hand.submit(3, { worker: 1 });
    hand.worker(50, 'exit', { crash: true });
    hand.worker(51, 'exit', { worker: 1, crash: false });
    const { writes, crashes, crashList } = hand.measure();
    expect(writes).toMatchObject({ indeterminate: 3, crashed: 2, open: 1, ghost: 1, unsaved: 2, fine: 1 });
    expect(crashes).toBe(1);
    expect(crashList).toMatchObject([{ worker: 0, life: 1, atMs: 50, submits: 2 }]);
  });

  it('late is a flag beside the outcome', () => {
    const hand = new Hand();
    hand.fine(0, 10_000);
    hand.fine(1, 10_001);
    hand.failing(2, 20_000);
    expect(hand.measure().writes).toMatchObject({ acked: 2, fine: 2, failed: 1, late: 2 });
  });

  it('the first answer wins', () => {
    const hand = new Hand();
    const id = hand.failing(0);
    hand.settle(id, 50, 'acked', [ended.acked(0)]);
    expect(hand.measure().writes).toMatchObject({ failed: 1, acked: 0, unsaved: 1 });
  });
});

describe('what is stored', () => {
  it.each<[number[], number, boolean, string]>([
    [[0, 0], 0, true, 'never'],
    [[1, 0], 1, true, 'torn'],
    [[2, 0], 1, true, 'torn'],
    [[2, 1], 2, true, 'twice'],
    [[2, 2], 2, true, 'twice'],
    [[1, 1], 2, true, 'split'],
    [[1, 1], 2, false, 'once'],
    [[1, 1], 1, true, 'once'],
    [[1], 1, true, 'once'],
  ])('copies %j by %i transactions, one meant %s: %s', (given, transactions, oneTransaction, stored) => {
    expect(storedAs(given, { transactions, oneTransaction })).toBe(stored);
  });

  it('split is a part of torn, and only where one transaction is the habit', () => {
    const inTwo = (hand: Hand) => hand.store(hand.fineUnstored(0), [1, 1], ['7', '8']).measure().writes;
    expect(inTwo(new Hand())).toMatchObject({ torn: 1, split: 1, fine: 0 });
    expect(inTwo(new Hand(habits({ transaction: 'autocommit' })))).toMatchObject({
      torn: 0,
      split: 0,
      fine: 1,
    });
  });

  it('every outcome and state has exactly one cell', () => {
    const all = table.map(([outcome, valid, column]) => cellOf(outcome, column, valid));
    expect(all).toEqual(table.map(([, , , cell]) => cell));
  });
});

describe('rows nobody planned', () => {
  it.each([
    ['of another session', { session: 9 }],
    ['of a seq that never was', { seq: 77 }],
    ['of another trial', { trial: 'another' }],
    ['beyond the submit', { row: 2 }],
    ['with a wrong hash', { sha: 'f'.repeat(64) }],
    ['that the CHECK forbids', { valid: false }],
  ])('%s are unexpected', (_, over) => {
    const hand = new Hand();
    hand.failing(0);
    hand.fine(1, 5, { worker: 1 });
    hand.row(over);
    const { writes, examples } = hand.measure();
    expect(writes).toMatchObject({ unexpected: 1, unsaved: 1, fine: 1, phantom: 0, torn: 0 });
    expect(examples.unexpected).toHaveLength(1);
  });
});

describe('a foreign commit', () => {
  it('is named as the cause of its phantoms', () => {
    const hand = new Hand();
    hand.store(hand.failing(0), [1, 1], ['41']);
    hand.store(hand.fineUnstored(10), [1, 1], ['41']);
    hand.store(hand.failing(20), [1, 1], ['42']);
    const { writes, examples } = hand.measure();
    expect(writes.phantom).toBe(2);
    expect(writes.causes).toEqual([
      { cell: 'phantom', cause: 'foreign-commit', count: 1, lines: examples['foreign-commit'] },
    ]);
  });

  it('cannot be told where the xid is a connection’s', () => {
    const hand = new Hand({ engine: 'mysql' });
    hand.store(hand.failing(0), [1, 1], ['41']);
    hand.store(hand.fineUnstored(10), [1, 1], ['41']);
    expect(hand.measure().writes.causes).toEqual([]);
  });
});

describe('lost because of', () => {
  it('the candidate, unless the control client lost its own then', () => {
    const hand = new Hand();
    hand.fineUnstored(100);
    hand.fineUnstored(5000);
    hand.note(9000, 'control', 'lost', false, JSON.stringify({ fromMs: 4000, toMs: 6000 }));
    expect(hand.measure().writes).toMatchObject({ lost: 2, lostBecause: { server: 1, candidate: 1 } });
  });

  it('nobody else when the control client says nothing of when', () => {
    const hand = new Hand();
    hand.fineUnstored(100);
    hand.note(9000, 'control', 'lost', false, 'something');
    expect(hand.measure().writes).toMatchObject({ lost: 1, lostBecause: { server: 0, candidate: 1 } });
  });
});

it('examples are the first, the worst and the last', () => {
  const hand = new Hand();
  const ids = [5, 50, 9].map((tookMs, n) => hand.failing(n * 100, tookMs));
  const lines = hand.records().filter(record => record.k === 'settled' && ids.includes(record.id));
  expect(hand.measure().examples.unsaved).toEqual(lines.map(({ i }) => i));
});

it('a ledger without a header is refused', () => {
  const hand = new Hand();
  hand.fine(0);
  const headless = hand.records().slice(1);
  expect(() => new HeadlessLedger(headless).measure()).toThrow(/does not begin with its header/);
});

class HeadlessLedger extends Hand {
  #records: ReturnType<Hand['records']>;
  constructor(records: ReturnType<Hand['records']>) {
    super();
    this.#records = records;
  }
  override records() {
    return this.#records;
  }
}
