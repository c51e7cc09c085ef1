import type { ServerEnd } from '../net/contract.ts';
import { protocolViolation } from './errors.ts';

const nothing = Buffer.alloc(0);
// As PostgreSQL: PQ_LARGE_MESSAGE_LIMIT, and MAX_STARTUP_PACKET_LENGTH before a session.
const messageBytesMax = 0x3fffffff;
const startupBytesMax = 10_000;

/** Constant messages one after the other, as one chunk. */
class Reply {
  readonly bytes: Buffer;
  #next = new Map<Buffer, Reply>();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  after(message: Buffer): Reply {
    let next = this.#next.get(message);
    if (!next) {
      next = new Reply(Buffer.concat([this.bytes, message]));
      // Long pipelines and odd counts of rows are not worth keeping.
      const isUsual = next.bytes.length <= replyBytesMax && this.#next.size < repliesMax;
      if (isUsual) this.#next.set(message, next);
    }
    return next;
  }
}

const replyBytesMax = 200;
const repliesMax = 50;
const replies = new Reply(nothing);

/** A connection's bytes: messages in, however they are cut, and answers out, gathered until they are flushed. */
export class Wire {
  readonly end: ServerEnd;
  /** Of the current message: its type (0 at startup), and where its body stands in `bytes`. */
  type = 0;
  bytes: Buffer = nothing;
  start = 0;
  stop = 0;
  #at = 0;
  #more: Buffer[] = [];
  #out: Buffer[] = [];
  /** All that was put is constant, and is `#reply`. */
  #constant = true;
  #reply: Reply = replies;

  constructor(end: ServerEnd) {
    this.end = end;
  }

  push(chunk: Buffer): void {
    if (this.#at === this.bytes.length && this.#more.length === 0) {
      this.bytes = chunk;
      this.#at = 0;
    } else this.#more.push(chunk);
  }

  #gather(): void {
    if (this.#more.length === 0) return;
    this.bytes = Buffer.concat([this.bytes.subarray(this.#at), ...this.#more]);
    this.#more = [];
    this.#at = 0;
  }

  /** Takes the next whole message; false: it has not come yet. */
  next(): boolean {
    if (this.#take()) return true;
    if (this.#more.length === 0) return false;
    this.#gather();
    return this.#take();
  }

  #take(): boolean {
    const at = this.#at;
    if (this.bytes.length < at + 5) return false;
    const length = this.bytes.readInt32BE(at + 1);
    if (length < 4 || length > messageBytesMax) throw protocolViolation('invalid message length');
    if (this.bytes.length < at + 1 + length) return false;
    this.type = this.bytes[at]!;
    this.start = at + 5;
    this.stop = at + 1 + length;
    this.#at = this.stop;
    return true;
  }

  /** The same for packets before a session: they have no type. */
  nextStartup(): boolean {
    this.#gather();
    const at = this.#at;
    if (this.bytes.length < at + 4) return false;
    const length = this.bytes.readInt32BE(at);
    if (length < 8 || length > startupBytesMax) throw protocolViolation('invalid length of startup packet');
    if (this.bytes.length < at + length) return false;
    this.type = 0;
    this.start = at + 4;
    this.stop = at + length;
    this.#at = this.stop;
    return true;
  }

  /** Text up to the first zero at or after `at`. */
  text(at: number): string {
    const zero = this.zero(at);
    return this.bytes.toString('utf8', at, zero);
  }

  /** Where that zero is. */
  zero(at: number): number {
    if (this.bytes[at] === 0 && at < this.stop) return at;
    const zero = this.bytes.indexOf(0, at);
    if (zero >= 0 && zero < this.stop) return zero;
    throw protocolViolation('invalid string in message');
  }

  put(bytes: Buffer): void {
    this.#out.push(bytes);
    this.#constant = false;
  }

  /** One of the messages that never change: their combinations are few, and made once. */
  putConstant(bytes: Buffer): void {
    this.#out.push(bytes);
    if (this.#constant) this.#reply = this.#reply.after(bytes);
  }

  #forget(): void {
    this.#out.length = 0;
    this.#reply = replies;
    this.#constant = true;
  }

  /** Hands over what was put. */
  flush(atMs: number): void {
    const out = this.#out;
    if (out.length === 0) return;
    const chunk = this.#constant ? this.#reply.bytes : out.length === 1 ? out[0]! : Buffer.concat(out);
    this.#forget();
    this.end.send(chunk, atMs);
  }

  /** Forgets what was put, and what was handed over and has not left yet. */
  discard(): void {
    this.#forget();
    this.end.discard();
  }

  /** Holds on to no bytes of the past while it is idle. */
  rest(): void {
    if (this.#at === this.bytes.length) {
      this.bytes = nothing;
      this.#at = 0;
    }
  }
}
