import type { StoredRow } from '../../world/world.ts';

/** The committed rows of one write table, 50 bytes each, in the order they were committed. */

/** A row somebody inserted. */
export type NewRow = Omit<StoredRow, 'valid' | 'xid'>;

const chunkBits = 13;
const chunkRows = 1 << chunkBits;
const shaBytes = 32;
/** Small numbers stand in two bytes; a row with others stands aside as an object. */
const smallMax = 0xfffe;
const aside = 0xffff;

class Chunk {
  readonly session = new Int32Array(chunkRows);
  readonly seq = new Int32Array(chunkRows);
  readonly xid = new Uint32Array(chunkRows);
  readonly attempt = new Uint16Array(chunkRows);
  readonly row = new Uint16Array(chunkRows);
  readonly of = new Uint16Array(chunkRows);
  readonly sha = new Uint8Array(chunkRows * shaBytes);
}

const bytesPerChunk = chunkRows * (3 * 4 + 3 * 2 + shaBytes);

const nibbles = new Int8Array(128).fill(-1);
for (let n = 0; n < 16; n += 1) nibbles[n.toString(16).charCodeAt(0)] = n;

/** 64 lower-case hex digits as 32 bytes; false: it is something else. */
function packSha(sha: string, into: Uint8Array, at: number): boolean {
  if (sha.length !== 2 * shaBytes) return false;
  let bad = 0;
  for (let n = 0; n < shaBytes; n += 1) {
    const high = nibbles[sha.charCodeAt(2 * n) & 127]!;
    const low = nibbles[sha.charCodeAt(2 * n + 1) & 127]!;
    bad |= high | low | (sha.charCodeAt(2 * n) >> 7) | (sha.charCodeAt(2 * n + 1) >> 7 ? -1 : 0);
    into[at + n] = (high << 4) | low;
  }
  return bad >= 0;
}

const isSmall = (value: number): boolean => value >= 0 && value <= smallMax;

export class RowStore {
  readonly trial: string;
  count = 0;
  #chunks: Chunk[] = [];
  #aside = new Map<number, StoredRow>();

  constructor(trial: string) {
    this.trial = trial;
  }

  add(row: NewRow, xid: number): void {
    const n = this.count;
    this.count += 1;
    if (n >> chunkBits === this.#chunks.length) this.#chunks.push(new Chunk());
    const chunk = this.#chunks[n >> chunkBits]!;
    const at = n & (chunkRows - 1);
    chunk.session[at] = row.session;
    chunk.seq[at] = row.seq;
    chunk.xid[at] = xid;
    const small = isSmall(row.attempt) && isSmall(row.row) && isSmall(row.of);
    if (small && row.trial === this.trial && packSha(row.sha, chunk.sha, at * shaBytes)) {
      chunk.attempt[at] = row.attempt;
      chunk.row[at] = row.row;
      chunk.of[at] = row.of;
      return;
    }
    chunk.attempt[at] = aside;
    this.#aside.set(n, { ...row, valid: true, xid: String(xid) });
  }

  /** The row with this number. */
  at(n: number): StoredRow {
    const other = this.#aside.get(n);
    if (other) return other;
    const chunk = this.#chunks[n >> chunkBits]!;
    const at = n & (chunkRows - 1);
    const sha = Buffer.from(chunk.sha.buffer, at * shaBytes, shaBytes).toString('hex');
    return {
      trial: this.trial,
      session: chunk.session[at]!,
      seq: chunk.seq[at]!,
      attempt: chunk.attempt[at]!,
      row: chunk.row[at]!,
      of: chunk.of[at]!,
      sha,
      valid: true,
      xid: String(chunk.xid[at]!),
    };
  }

  /** Forgets what was committed after the first `count`. */
  truncate(count: number): void {
    for (let n = count; n < this.count; n += 1) this.#aside.delete(n);
    this.count = count;
    this.#chunks.length = Math.ceil(count / chunkRows);
  }

  /** The numbers of all rows in (session, seq, row, attempt, xid) order. */
  order(): Uint32Array {
    const order = new Uint32Array(this.count);
    for (let n = 0; n < order.length; n += 1) order[n] = n;
    return order.sort((a, b) => this.#compare(a, b));
  }

  #compare(a: number, b: number): number {
    const [x, y] = [this.#chunks[a >> chunkBits]!, this.#chunks[b >> chunkBits]!];
    const [i, j] = [a & (chunkRows - 1), b & (chunkRows - 1)];
    const first = x.session[i]! - y.session[j]! || x.seq[i]! - y.seq[j]!;
    if (first !== 0) return first;
    if (x.attempt[i] === aside || y.attempt[j] === aside) return this.#compareAside(a, b);
    return x.row[i]! - y.row[j]! || x.attempt[i]! - y.attempt[j]! || x.xid[i]! - y.xid[j]! || a - b;
  }

  #compareAside(a: number, b: number): number {
    const [x, y] = [this.at(a), this.at(b)];
    return x.row - y.row || x.attempt - y.attempt || Number(x.xid) - Number(y.xid) || a - b;
  }

  get bytes(): number {
    return this.#chunks.length * bytesPerChunk;
  }
}
