import { describe, expect, it } from 'vitest';
import { bytes, ints, orderByTime, RowIndex, times } from '../../src/metrics/columns.ts';
import { Examples } from '../../src/metrics/examples.ts';
import { durationText, linesText } from '../../src/metrics/format.ts';
import { complement, intersect, mostAtOnce, type Span, touches, union } from '../../src/metrics/spans.ts';
import { ended, Hand } from './hand.ts';

const span = (fromMs: number, toMs: number): Span => ({ fromMs, toMs });

describe('columns', () => {
  it('grow and keep what was in them', () => {
    for (const column of [times(), ints(), bytes()]) {
      for (let n = 0; n < 1000; n += 1) expect(column.push(n % 250)).toBe(n);
      column.set(3, 99);
      expect([column.get(3), column.get(999), column.length]).toEqual([99, 249, 1000]);
    }
  });

  it('find rows by any id', () => {
    const index = new RowIndex();
    const ids = [0, 1, 5, 2_000_000, -1, 2 ** 40];
    for (const [row, id] of ids.entries()) index.set(id, row);
    expect(ids.map(id => index.get(id))).toEqual([0, 1, 2, 3, 4, 5]);
    expect([2, 4, 1_999_999, 2 ** 41].map(id => index.get(id))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('order rows by time, equal ones as they came', () => {
    const at = [5, 1, 5, 0];
    expect([...orderByTime(4, row => at[row]!)]).toEqual([3, 1, 0, 2]);
    expect([...orderByTime(3, row => row)]).toEqual([0, 1, 2]);
  });
});

describe('spans', () => {
  it('unite when they touch, or nearly', () => {
    expect(union([span(5, 9), span(0, 2), span(2, 3)])).toEqual([span(0, 3), span(5, 9)]);
    expect(union([span(0, 2), span(4, 5), span(8, 9)], 2)).toEqual([span(0, 5), span(8, 9)]);
  });

  it('leave and share time', () => {
    expect(complement([span(2, 3), span(5, 12)], span(0, 10))).toEqual([span(0, 2), span(3, 5)]);
    expect(complement([], span(0, 10))).toEqual([span(0, 10)]);
    expect(intersect([span(0, 4), span(6, 9)], [span(3, 7)])).toEqual([span(3, 4), span(6, 7)]);
  });

  it('touch with their ends', () => {
    const united = [span(1, 2), span(5, 6)];
    expect([touches(united, 2, 3), touches(united, 2.1, 4.9), touches(united, 0, 9)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('are counted at once: what ends at an instant makes room for what begins', () => {
    const most = (starts: number[], ends: number[], within: Span) =>
      mostAtOnce(Float64Array.from(starts), Float64Array.from(ends), within);
    expect(most([0, 5], [5, 9], span(0, 9))).toBe(1);
    expect(most([0, 4], [5, 9], span(0, 9))).toBe(2);
    expect(most([0, 1], [2, 90], span(10, 20))).toBe(1);
    expect(most([0, 0, 0], [5, 6, 7], span(7, 7))).toBe(1);
  });
});

it('examples are three lines at most, the worst by its measure', () => {
  const examples = new Examples();
  for (const [line, by] of [
    [4, 1],
    [5, 9],
    [6, 2],
    [7, 9],
  ] as const)
    examples.add('lost', line, by);
  examples.add('alone', 3);
  expect(examples.all()).toEqual({ alone: [3], lost: [4, 5, 7] });
  expect(examples.lines('none')).toEqual([]);
});

describe('words', () => {
  it.each([
    [205, 20, '4.1 s (205 ms x20)'],
    [205, 1, '205 ms'],
    [0.4, 1, '0.4 ms'],
    [999.6, 1, '1 s'],
    [60_000, 1, '60 s'],
    [1_200_000, 1, '20 min'],
    [28_800_000, 1, '8 h'],
    [238.0952, 42, '10 s (238 ms x42)'],
  ])('%d ms at speed %d: %s', (ms, speed, text) => {
    expect(durationText(ms, speed)).toBe(text);
  });

  it('name lines as an editor counts them', () => {
    expect([linesText([11]), linesText([0, 4]), linesText([])]).toEqual([
      ' (ledger line 12)',
      ' (ledger lines 1, 5)',
      '',
    ]);
  });
});

describe('size', () => {
  /** 40,000 submits of one worker; the column tests above say the rest. */
  it('a big ledger is read in linear time', () => {
    const timeOf = (count: number) => {
      const hand = new Hand({ durationMs: count * 2 });
      hand.conn(1, 'opening', 0).conn(1, 'open', 0);
      for (let n = 0; n < count; n += 1) {
        hand.conn(1, 'borrow', n * 2).conn(1, 'release', n * 2 + 1);
        hand.store(hand.submit(n * 2));
        hand.settle(n, n * 2 + 1, 'acked', [{ ...ended.acked(n * 2, 1), acquiredAt: n * 2 }]);
      }
      const records = hand.records();
      const started = performance.now();
      expect(hand.measureOf(records).writes.fine).toBe(count);
      return performance.now() - started;
    };
    timeOf(1000);
    const [small, large] = [timeOf(4000), timeOf(40_000)];
    // Ten times as much; a quadratic step would take a hundred times as long.
    expect(large).toBeLessThan(Math.max(small, 20) * 40);
  });
});
