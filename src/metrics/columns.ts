/**
 * Columns that grow: a trial of 600,000 submits is held in typed arrays, not in as many objects. In pieces, since
 * an array that doubles holds up to three times what is in it, at the very moment when memory is highest.
 */
type Numbers = Float64Array | Int32Array | Uint8Array;

const pieceBits = 13;
const pieceLength = 1 << pieceBits;
const pieceMask = pieceLength - 1;
const firstLength = 64;

class Column<A extends Numbers> {
  #pieces: A[];
  /** The last of them. Only the first one is ever shorter than a piece, and doubles until it is none. */
  #last: A;
  #make: (size: number) => A;
  length = 0;

  constructor(make: (size: number) => A) {
    this.#make = make;
    this.#last = make(firstLength);
    this.#pieces = [this.#last];
  }

  push(value: number): number {
    const row = this.length;
    const at = row & pieceMask;
    if (at === this.#last.length) this.#double();
    else if (at === 0 && row > 0) this.#another();
    this.#last[at] = value;
    this.length = row + 1;
    return row;
  }

  get(at: number): number {
    return this.#pieces[at >> pieceBits]![at & pieceMask] as number;
  }

  set(at: number, value: number): void {
    this.#pieces[at >> pieceBits]![at & pieceMask] = value;
  }

  /** The values so far, sorted ascending; a copy. */
  sorted(): A {
    const all = this.#make(this.length);
    this.#pieces.forEach((piece, n) => {
      all.set(piece.subarray(0, this.length - n * pieceLength), n * pieceLength);
    });
    return all.sort() as A;
  }

  #another(): void {
    this.#last = this.#make(pieceLength);
    this.#pieces.push(this.#last);
  }

  #double(): void {
    const data = this.#make(this.#last.length * 2);
    data.set(this.#last);
    this.#last = data;
    this.#pieces = [data];
  }
}

export type Times = Column<Float64Array>;
export type Ints = Column<Int32Array>;
export type Bytes = Column<Uint8Array>;

/** Times in ms; NaN where there is none. */
export const times = (): Times => new Column(size => new Float64Array(size));
export const ints = (): Ints => new Column(size => new Int32Array(size));
export const bytes = (): Bytes => new Column(size => new Uint8Array(size));

/** Ids beyond this are kept in a map: nothing says that a worker counts from 0. */
const denseIdMax = 1 << 24;

/** id -> row of a table. Ids are mostly counted up from 0 or 1, so mostly a plain column. */
export class RowIndex {
  #dense = ints();
  #sparse = new Map<number, number>();

  get(id: number): number | undefined {
    if (!isDense(id)) return this.#sparse.get(id);
    const row = id < this.#dense.length ? this.#dense.get(id) : 0;
    return row > 0 ? row - 1 : this.#sparse.get(id);
  }

  set(id: number, row: number): void {
    // A jump far ahead would allocate everything in between.
    if (!isDense(id) || id > this.#dense.length * 2 + 1024) {
      this.#sparse.set(id, row);
      return;
    }
    while (this.#dense.length <= id) this.#dense.push(0);
    this.#dense.set(id, row + 1);
  }
}

const isDense = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < denseIdMax;

/** Rows 0 .. length-1, ordered by a time; rows that are in order already cost one look each. */
export function orderByTime(length: number, timeMs: (row: number) => number): Int32Array {
  const order = Int32Array.from({ length }, (_, row) => row);
  for (let row = 1; row < length; row += 1)
    if (timeMs(row) < timeMs(row - 1)) return order.sort((a, b) => timeMs(a) - timeMs(b) || a - b);
  return order;
}
