import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { Fact, LedgerRecord } from './record.ts';

/** Facts that wait to be written: in a hot loop a line costs a third of what it costs alone. */
const flushFacts = 256;
/** A ledger beyond this is a run out of control; the trial ends with this limit named. */
export const ledgerBytesMax = 4 * 1024 ** 3;
export const lineCharsMax = 1024 * 1024;

export interface LedgerOptions {
  path: string;
  nowMs: () => number;
  /** Replaced wherever they appear, raw or URL-encoded. */
  secrets: readonly string[];
  /** `ledgerBytesMax` unless said. */
  bytesMax?: number;
  /** Called once, when nothing can be written any more: the disk is full, or the ledger at its limit. */
  failed?(error: Error): void;
}

/** Append-only. Every fact is on its way to the file within 256 facts or a `flush`; nobody changes it meanwhile. */
export class Ledger {
  readonly path: string;
  #fd: number;
  #lines = 0;
  #bytes = 0;
  #bytesMax: number;
  #facts: { t: number; fact: Fact }[] = [];
  #nowMs: () => number;
  #redact: (text: string) => string;
  #failed: (error: Error) => void;
  #broken = false;
  #closed = false;

  constructor({ path, nowMs, secrets, bytesMax = ledgerBytesMax, failed = throwIt }: LedgerOptions) {
    this.#bytesMax = bytesMax;
    this.path = path;
    this.#nowMs = nowMs;
    this.#failed = failed;
    this.#redact = redactor(secrets);
    this.#fd = openSync(path, 'w', 0o644);
  }

  append(fact: Fact): void {
    if (this.#broken || this.#closed) return;
    this.#facts.push({ t: round3(this.#nowMs()), fact });
    this.#lines += 1;
    if (this.#facts.length >= flushFacts) this.flush();
  }

  flush(): void {
    if (this.#facts.length === 0 || this.#closed) return;
    // Whole lines, so that no secret is cut in two.
    const text = Buffer.from(this.#redact(this.#text()), 'utf8');
    if (this.#broken) return;
    if (this.#bytes + text.length > this.#bytesMax) return this.#fail(this.#full(text.length));
    this.#bytes += text.length;
    try {
      for (let done = 0; done < text.length; ) done += writeSync(this.#fd, text, done);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #text(): string {
    let text = '';
    let i = this.#lines - this.#facts.length;
    for (const { t, fact } of this.#facts) {
      // The fact's own text with two keys put before: a copy of the object would cost more than writing it.
      text += `{"i":${i},"t":${t},${JSON.stringify(fact).slice(1)}\n`;
      i += 1;
    }
    this.#facts = [];
    return text;
  }

  #full(more: number): LedgerFull {
    const seen = `${this.#bytes + more} bytes by line ${this.#lines}`;
    return new LedgerFull(
      `ledger ${this.path}: over its limit of ${this.#bytesMax} bytes (${seen}), so the trial was stopped: run fewer sessions, or a shorter scenario`,
    );
  }

  /** Appending comes from timers and messages, which nobody awaits: whoever runs the trial is told instead. */
  #fail(error: Error): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#failed(error);
  }

  /** Once; what is said after that goes nowhere. */
  close(complete: boolean): void {
    if (this.#closed) return;
    this.append({ k: 'end', lines: this.#lines + 1, complete });
    this.flush();
    this.#closed = true;
    closeSync(this.#fd);
  }
}

/** Replaces every known secret, raw, URL-encoded or as it stands in JSON. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const forms = secrets.flatMap(s => [s, encodeURIComponent(s), JSON.stringify(s).slice(1, -1)]);
  const known = [...new Set(forms)].filter(form => form.length > 0);
  return text =>
    known.reduce((clean, form) => (clean.includes(form) ? clean.replaceAll(form, '[secret]') : clean), text);
}

const throwIt = (error: Error): never => {
  throw error;
};

const round3 = (ms: number): number => Math.round(ms * 1000) / 1000;

export class LedgerError extends Error {}

/** The ledger is at its limit; its own exit code, as for a disk that is full. */
export class LedgerFull extends Error {
  readonly exitCode = 69;
}

/**
 * The records of a ledger, read as they are asked for and never held. A cut last line is left out and
 * told to `onCut`; any other bad line throws LedgerError with its number. `only`: other kinds are passed over unread,
 * for who has read them before.
 */
export function* readLedger(
  path: string,
  onCut: (line: number) => void = () => {},
  only?: LedgerRecord['k'],
): Generator<LedgerRecord> {
  let number = 0;
  const kind = only && `"k":"${only}"`;
  for (const { text, whole } of linesOf(path)) {
    if (kind && whole && !text.slice(0, headChars).includes(kind)) {
      number += 1;
      continue;
    }
    const record = parse(text);
    if (record === null || record.i !== number) {
      if (!whole) return onCut(number);
      throw new LedgerError(`ledger ${path}, line ${number + 1}: not a ledger record (expected i ${number})`);
    }
    yield record;
    number += 1;
  }
}

/** `i`, `t` and `k` come first in a line. */
const headChars = 80;

function parse(text: string): LedgerRecord | null {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && typeof value.k === 'string' ? value : null;
  } catch {
    return null;
  }
}

function* linesOf(path: string): Generator<{ text: string; whole: boolean }> {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const chunk = Buffer.alloc(Math.min(256 * 1024, Math.max(size, 1)));
    let rest = Buffer.alloc(0);
    for (;;) {
      const n = readSync(fd, chunk, 0, chunk.length, null);
      if (n === 0) break;
      const data = rest.length > 0 ? Buffer.concat([rest, chunk.subarray(0, n)]) : chunk.subarray(0, n);
      let from = 0;
      for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, from)) {
        yield { text: data.toString('utf8', from, at), whole: true };
        from = at + 1;
      }
      rest = Buffer.from(data.subarray(from));
      if (rest.length > lineCharsMax)
        throw new LedgerError(`ledger ${path}: a line over ${lineCharsMax} bytes`);
    }
    if (rest.length > 0) yield { text: rest.toString('utf8'), whole: false };
  } finally {
    closeSync(fd);
  }
}
