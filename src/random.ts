import { hash, randomBytes } from 'node:crypto';

/**
 * The only randomness of the harness: seeded, and forked by name, so that one more draw in one place
 * moves nothing anywhere else. xoshiro128** (Blackman and Vigna, 2018), seeded by SHA-256 of the path.
 */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  fork(...path: (string | number)[]): Random;
}

const rotl = (x: number, k: number): number => ((x << k) | (x >>> (32 - k))) >>> 0;

export const seeded = (...path: (string | number)[]): Random => new Seeded(path);

class Seeded implements Random {
  #path: (string | number)[];
  // Many are made only to be forked, so the state comes with the first draw.
  #begun = false;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  constructor(path: (string | number)[]) {
    this.#path = path;
  }

  #begin(): void {
    const digest = hash('sha256', JSON.stringify(this.#path), 'buffer');
    this.#a = digest.readUInt32LE(0);
    this.#b = digest.readUInt32LE(4);
    this.#c = digest.readUInt32LE(8);
    this.#d = digest.readUInt32LE(12);
    this.#begun = true;
  }

  next(): number {
    if (!this.#begun) this.#begin();
    const result = Math.imul(rotl(Math.imul(this.#b, 5) >>> 0, 7), 9) >>> 0;
    const t = (this.#b << 9) >>> 0;
    this.#c = (this.#c ^ this.#a) >>> 0;
    this.#d = (this.#d ^ this.#b) >>> 0;
    this.#b = (this.#b ^ this.#c) >>> 0;
    this.#a = (this.#a ^ this.#d) >>> 0;
    this.#c = (this.#c ^ t) >>> 0;
    this.#d = rotl(this.#d, 11);
    return result / 0x1_0000_0000;
  }

  fork(...more: (string | number)[]): Random {
    return new Seeded([...this.#path, ...more]);
  }
}

/** Real chance, for what must not be guessable or repeatable: passwords, cookies, ids of real runs. */
export const unguessable = (bytes: number): string => randomBytes(bytes).toString('hex');

export const sha256 = (text: string): string => hash('sha256', text);
