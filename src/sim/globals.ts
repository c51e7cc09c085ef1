import { AsyncResource } from 'node:async_hooks';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import tls from 'node:tls';
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
  const randomFill = (into: ArrayBufferView, ...given: (number | Done<ArrayBufferView>)[]) => {
    const done = given.pop() as Done<ArrayBufferView>;
    const [from = 0, size] = given as number[];
    fill(view(into).subarray(from, size === undefined ? undefined : from + size));
    process.nextTick(done, null, into);
  };
  const randomUUID = () => uuid(fill(Buffer.alloc(16)) as Buffer);
  const own = { randomBytes, randomInt, randomUUID, randomFill, pseudoRandomBytes: randomBytes };
  replace(Math, 'random', () => draw.next());
  for (const [name, value] of Object.entries(own)) replace(crypto, name, value);
  replace(crypto, 'randomFillSync', getRandomValues);
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
  for (const name of ['pbkdf2', 'scrypt', 'hkdf', 'generateKeyPair', 'generateKey'] as const) {
    const real = crypto[name] as (...given: unknown[]) => void;
    replace(crypto, name, (...given: unknown[]) => {
      const done = AsyncResource.bind(given.pop() as (...results: unknown[]) => void);
      const work = new Promise<unknown[]>(resolve =>
        real(...given, (...results: unknown[]) => resolve(results)),
      );
      loop.hold(work).then(results => process.nextTick(done, ...results));
    });
  }
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
  const before = events.map(event => process.listeners(event as 'uncaughtException'));
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event as 'uncaughtException', thrown);
  }
  return () =>
    events.forEach((event, n) => {
      process.removeListener(event, thrown);
      for (const listener of before[n]!) process.on(event as 'uncaughtException', listener);
    });
}
