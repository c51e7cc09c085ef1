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

export function seeded(...path: (string | number)[]): Random {
  const key = JSON.stringify(path);
  const digest = hash('sha256', key, 'buffer');
  let [a, b, c, d] = [0, 4, 8, 12].map(at => digest.readUInt32LE(at)) as [number, number, number, number];
  return {
    next() {
      const result = Math.imul(rotl(Math.imul(b, 5) >>> 0, 7), 9) >>> 0;
      const t = (b << 9) >>> 0;
      c = (c ^ a) >>> 0;
      d = (d ^ b) >>> 0;
      b = (b ^ c) >>> 0;
      a = (a ^ d) >>> 0;
      c = (c ^ t) >>> 0;
      d = rotl(d, 11);
      return result / 0x1_0000_0000;
    },
    fork: (...more) => seeded(...path, ...more),
  };
}

/** Real chance, for what must not be guessable or repeatable: passwords, cookies, ids of real runs. */
export const unguessable = (bytes: number): string => randomBytes(bytes).toString('hex');

export const sha256 = (text: string): string => hash('sha256', text);
