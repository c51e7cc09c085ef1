/** The committed keys of one key table: a bit each, by session and seq. */

export type Key = number | string;

// Numeric keys: session * 2^31 + seq, exact below 2^53.
const seqs = 2 ** 31;
const sessionMax = 2 ** 21;
/** A larger seq would make a bitmap longer than what it holds. */
const bitmapSeqMax = 2 ** 22;

/** `ownTrial`: its trial is the table's, as the workload's are. */
export function keyOf(ownTrial: boolean, trial: string, session: number, seq: number): Key {
  const plain = ownTrial && session >= 0 && session < sessionMax && seq >= 0;
  return plain ? session * seqs + seq : `${session} ${seq} ${trial}`;
}

export class KeySet {
  #bits = new Map<number, Uint8Array>();
  #others = new Set<Key>();

  has(key: Key): boolean {
    if (typeof key === 'string') return this.#others.has(key);
    const seq = key % seqs;
    if (seq >= bitmapSeqMax) return this.#others.has(key);
    const bits = this.#bits.get((key - seq) / seqs);
    return bits !== undefined && seq >> 3 < bits.length && (bits[seq >> 3]! & (1 << (seq & 7))) !== 0;
  }

  add(key: Key): void {
    if (typeof key === 'string' || key % seqs >= bitmapSeqMax) return void this.#others.add(key);
    const seq = key % seqs;
    const bits = this.#room((key - seq) / seqs, seq >> 3);
    bits[seq >> 3]! |= 1 << (seq & 7);
  }

  #room(session: number, at: number): Uint8Array {
    const old = this.#bits.get(session);
    if (old && at < old.length) return old;
    const wider = new Uint8Array(Math.max(32, 2 ** Math.ceil(Math.log2(at + 1))));
    if (old) wider.set(old);
    this.#bits.set(session, wider);
    return wider;
  }

  delete(key: Key): void {
    if (typeof key === 'string' || key % seqs >= bitmapSeqMax) return void this.#others.delete(key);
    const seq = key % seqs;
    const bits = this.#bits.get((key - seq) / seqs);
    if (bits && seq >> 3 < bits.length) bits[seq >> 3]! &= ~(1 << (seq & 7));
  }

  get bytes(): number {
    let sum = 0;
    for (const bits of this.#bits.values()) sum += bits.byteLength;
    return sum;
  }
}
