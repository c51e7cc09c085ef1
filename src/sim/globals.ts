import { AsyncResource } from 'node:async_hooks';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import tls from 'node:tls';
import { promisify } from 'node:util';
import type { Random } from '../random.ts';
import type { VirtualLoop } from './loop.ts';
import { virtualTimers } from './timers.ts';

/**
 * What drivers and pools take time, chance and sockets from, replaced while a virtual trial runs: the
 * globals, and the modules behind them. A function somebody kept from before stays real.
 */
export interface Replacements {
  loop: VirtualLoop;
  random: Random;
  /** Stands in for net.Socket. */
  Socket: unknown;
  /** Stands in for net.connect and net.createConnection. */
  connect: (...given: never[]) => unknown;
}

/** The wall clock of the virtual world when it begins. Any would do; a fixed one makes runs alike. */
export const epochMs = Date.UTC(2026, 0, 1);

/** Puts everything in place; the returned function takes it away again. One world at a time. */
export function install(replacements: Replacements): () => void {
  if (installed) throw new Error('a virtual world is running in this process already; one at a time');
  installed = true;
  const undo: (() => void)[] = [];
  const replace: Replace = (holder, name, value) => {
    const was = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, { value, configurable: true, writable: true, enumerable: true });
    undo.push(() => (was ? Object.defineProperty(holder, name, was) : delete (holder as never)[name]));
  };
  const uninstall = () => {
    for (const each of undo.reverse()) each();
    syncBuiltinESMExports();
    installed = false;
  };
  try {
    replaceTime(replace, replacements);
    replaceChance(replace, replacements.random);
    replaceNetwork(replace, replacements);
    replaceProcess(replace, replacements.loop);
    holdRealWork(replace, replacements.loop);
    undo.push(catchErrors(replacements.loop), shortStacks());
    // What was imported by name from these modules follows.
    syncBuiltinESMExports();
    return uninstall;
  } catch (error) {
    uninstall();
    throw error;
  }
}

let installed = false;

type Replace = (holder: object, name: string, value: unknown) => void;

function replaceTime(replace: Replace, { loop }: Replacements): void {
  const { promises, abortAfter, ...functions } = virtualTimers(loop);
  for (const [name, value] of Object.entries(functions)) {
    replace(globalThis, name, value);
    replace(timers, name, value);
  }
  for (const [name, value] of Object.entries(promises)) replace(timersPromises, name, value);
  replace(AbortSignal, 'timeout', abortAfter);
  replace(globalThis, 'Date', virtualDate(loop));
  replace(performance, 'now', () => loop.nowMs);
  const seconds = () => Math.floor(loop.nowMs / 1000);
  const nanos = () => Math.round((loop.nowMs % 1000) * 1e6);
  const hrtime = (since: [number, number] = [0, 0]) => {
    const borrow = nanos() < since[1] ? 1 : 0;
    return [seconds() - since[0] - borrow, nanos() - since[1] + borrow * 1e9];
  };
  const bigint = () => BigInt(seconds()) * 1_000_000_000n + BigInt(nanos());
  replace(process, 'hrtime', Object.assign(hrtime, { bigint }));
  replace(process, 'uptime', () => loop.nowMs / 1000);
  replace(performance, 'timeOrigin', epochMs);
  replace(RealDate.prototype, 'constructor', Date);
  const { setTimeout: wait, setImmediate: yieldTurn } = promises;
  replace(timersPromises.scheduler, 'wait', wait);
  replace(timersPromises.scheduler, 'yield', () => (yieldTurn as () => unknown)());
}

/** A virtual process that leaves, and what it writes: neither is this process's. */
function replaceProcess(replace: Replace, loop: VirtualLoop): void {
  const realExit = process.exit;
  replace(process, 'exit', (code?: number) => {
    const { exit } = loop.actor;
    if (exit === null) return realExit(code);
    exit(code ?? Number(process.exitCode ?? 0));
    // Nothing of its current step goes on; it is dead, so that nobody hears of this.
    throw new Error('process.exit');
  });
  for (const stream of [process.stdout, process.stderr]) {
    const realWrite = stream.write;
    replace(stream, 'write', (text: string | Uint8Array, ...more: unknown[]) => {
      const { output } = loop.actor;
      if (output === null) return Reflect.apply(realWrite, stream, [text, ...more]);
      output(typeof text === 'string' ? text : Buffer.from(text).toString());
      const done = more.find(each => typeof each === 'function');
      if (done) process.nextTick(done as () => void);
      return true;
    });
  }
}

const RealDate = Date;

function virtualDate(loop: VirtualLoop): DateConstructor {
  const now = () => epochMs + Math.floor(loop.nowMs);
  function VirtualDate(this: unknown, ...given: unknown[]) {
    if (!new.target) return new RealDate(now()).toString();
    return Reflect.construct(RealDate, given.length === 0 ? [now()] : given, new.target);
  }
  // A date made before is a date: both have one prototype.
  VirtualDate.prototype = RealDate.prototype;
  const { parse, UTC } = RealDate;
  return Object.assign(VirtualDate, { now, parse, UTC }) as unknown as DateConstructor;
}

function replaceChance(replace: Replace, random: Random): void {
  const draw = random.fork('Math.random');
  const bytes = random.fork('bytes');
  const fill = (buffer: Uint8Array) => {
    for (let n = 0; n < buffer.length; n += 1) buffer[n] = Math.floor(bytes.next() * 256);
    return buffer;
  };
  const randomBytes = (size: number, done?: Done<Buffer>) => answer(fill(Buffer.alloc(size)) as Buffer, done);
  const whole = (min: number, max: number) => min + Math.floor(bytes.next() * (max - min));
  const randomInt = (min: number, max?: number | Done<number>, done?: Done<number>) =>
    typeof max === 'number' ? answer(whole(min, max), done) : answer(whole(0, min), max);
  const view = (into: ArrayBufferView) => new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  const getRandomValues = <T extends ArrayBufferView>(into: T): T => {
    fill(view(into));
    return into;
  };
  // Offset and size count elements of what is filled.
  const randomFillSync = <T extends ArrayBufferView | ArrayBuffer>(into: T, from = 0, size?: number): T => {
    const bytesOfOne = (into as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const all = ArrayBuffer.isView(into) ? view(into) : new Uint8Array(into as ArrayBuffer);
    fill(all.subarray(from * bytesOfOne, size === undefined ? undefined : (from + size) * bytesOfOne));
    return into;
  };
  const randomFill = (into: ArrayBufferView, ...given: (number | Done<ArrayBufferView>)[]) => {
    const done = given.pop() as Done<ArrayBufferView>;
    const [from, size] = given as (number | undefined)[];
    answer(randomFillSync(into, from, size), done);
  };
  const randomUUID = () => uuid(fill(Buffer.alloc(16)) as Buffer);
  const own = { randomBytes, randomInt, randomUUID, randomFill, pseudoRandomBytes: randomBytes };
  replace(Math, 'random', () => draw.next());
  for (const [name, value] of Object.entries(own)) replace(crypto, name, value);
  replace(crypto, 'randomFillSync', randomFillSync);
  const web = Object.getPrototypeOf(crypto.webcrypto) as object;
  replace(web, 'getRandomValues', getRandomValues);
  replace(web, 'randomUUID', randomUUID);
}

type Done<T> = (error: null, value: T) => void;

/** With a callback node draws in a thread; here it comes in the same turn, or time would run on meanwhile. */
function answer<T>(value: T, done?: Done<T>): T | undefined {
  if (!done) return value;
  process.nextTick(AsyncResource.bind(done), null, value);
  return undefined;
}

function uuid(bytes: Buffer): string {
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function replaceNetwork(replace: Replace, { loop, Socket, connect }: Replacements): void {
  replace(net, 'Socket', Socket);
  replace(net, 'Stream', Socket);
  replace(net, 'connect', connect);
  replace(net, 'createConnection', connect);
  // TLS works in turns of the real loop, between its own stream and the socket below.
  const realConnect = tls.connect as (...given: unknown[]) => tls.TLSSocket;
  replace(tls, 'connect', (...given: unknown[]) => {
    const socket = realConnect(...given);
    socket.once('close', loop.settle());
    return socket;
  });
}

/** Threads that hash and derive keys: time waits for them. */
function holdRealWork(replace: Replace, loop: VirtualLoop): void {
  const subtle = Object.getPrototypeOf(crypto.webcrypto.subtle) as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(subtle)) {
    const real = subtle[name];
    if (name === 'constructor' || typeof real !== 'function') continue;
    replace(subtle, name, function (this: unknown, ...given: unknown[]) {
      const work = Reflect.apply(real, this, given);
      return work instanceof Promise ? loop.hold(work) : work;
    });
  }
  for (const name of threaded) {
    const real = crypto[name] as (...given: unknown[]) => void;
    const held = (...given: unknown[]) => {
      const done = given.at(-1);
      // Without a callback it is done at once.
      if (typeof done !== 'function') return real(...given);
      let finish: (results: unknown[]) => void = () => {};
      const work = new Promise<unknown[]>(resolve => {
        finish = resolve;
      });
      // What is wrong with the arguments is thrown here, as ever.
      real(...given.slice(0, -1), (...results: unknown[]) => finish(results));
      const bound = AsyncResource.bind(done as (...results: unknown[]) => void);
      void loop.hold(work).then(results => process.nextTick(bound, ...results));
    };
    replace(crypto, name, name === 'generateKeyPair' ? Object.assign(held, promisedPair(held)) : held);
  }
}

/** Done by threads when a callback is given. */
const threaded = [
  'pbkdf2',
  'scrypt',
  'hkdf',
  'generateKeyPair',
  'generateKey',
  'generatePrime',
  'checkPrime',
  'sign',
  'verify',
] as const;

/** It has two results, which util.promisify of the real one puts into an object, by a symbol only node has. */
function promisedPair(held: (...given: unknown[]) => unknown): object {
  const both = (...given: unknown[]) =>
    new Promise((resolve, reject) => {
      held(...given, (error: Error | null, publicKey: unknown, privateKey: unknown) =>
        error ? reject(error) : resolve({ publicKey, privateKey }),
      );
    });
  return { [promisify.custom]: both };
}

/** A driver makes an error of each refusal, and the frames of a simulation say little to anybody. */
function shortStacks(): () => void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 4;
  return () => {
    Error.stackTraceLimit = stackTraceLimit;
  };
}

/** What nobody caught belongs to whoever acts; the listeners of before get their turn back afterwards. */
function catchErrors(loop: VirtualLoop): () => void {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const thrown = (error: unknown) => loop.thrown(error);
  const before = events.map(event => process.rawListeners(event as 'uncaughtException') as (() => void)[]);
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event as 'uncaughtException', thrown);
  }
  return () =>
    events.forEach((event, n) => {
      // Those a pool added go as well.
      process.removeAllListeners(event);
      for (const listener of before[n]!) process.on(event as 'uncaughtException', listener);
    });
}
