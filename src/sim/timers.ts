import { AsyncResource } from 'node:async_hooks';
import { promisify } from 'node:util';
import type { Actor, Entry, VirtualLoop } from './loop.ts';

/** Timers of node in virtual time: what drivers and pools get when they call setTimeout. */

// As node: outside 1 .. 2^31-1 it is 1, and parts of a ms are cut off.
const delayMsMax = 2 ** 31 - 1;
const delayOf = (ms: unknown): number => {
  const number = Number(ms);
  return number >= 1 && number <= delayMsMax ? Math.trunc(number) : 1;
};

type Act = (...given: unknown[]) => void;

/** What setTimeout and setInterval return; `refresh` and `close` as node's. */
export class VirtualTimeout {
  #loop: VirtualLoop;
  #actor: Actor;
  #delayMs: number;
  #act: (() => void) | null;
  #again: boolean;
  #entry: Entry | null = null;
  readonly #id: number;
  static #ids = 0;
  /** Those whose number was asked for: clearTimeout takes it as well as the timer. */
  static readonly byId = new Map<number, VirtualTimeout>();

  constructor(loop: VirtualLoop, delayMs: number, act: () => void, again: boolean) {
    this.#loop = loop;
    this.#actor = loop.owner('timer');
    this.#delayMs = delayMs;
    this.#act = act;
    this.#again = again;
    VirtualTimeout.#ids += 1;
    this.#id = VirtualTimeout.#ids;
    this.#arm();
  }

  #arm(): void {
    this.#entry = this.#loop.schedule(this.#loop.nowMs + this.#delayMs, this.#actor, fire, this);
  }

  fire(): void {
    const act = this.#act;
    this.#entry = null;
    // Before the call, which may cancel it.
    if (this.#again) this.#arm();
    else if (VirtualTimeout.byId.size > 0) VirtualTimeout.byId.delete(this.#id);
    act?.();
  }

  refresh(): this {
    if (this.#act === null) return this;
    if (this.#entry) this.#loop.cancel(this.#entry);
    this.#arm();
    return this;
  }

  close(): this {
    if (this.#entry) this.#loop.cancel(this.#entry);
    this.#entry = null;
    this.#act = null;
    if (VirtualTimeout.byId.size > 0) VirtualTimeout.byId.delete(this.#id);
    return this;
  }

  // Nothing keeps a virtual process alive or lets it end.
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  [Symbol.toPrimitive](): number {
    VirtualTimeout.byId.set(this.#id, this);
    return this.#id;
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

const fire = (timeout: VirtualTimeout): void => timeout.fire();

/**
 * The callback with its arguments, in the async context it was given in: who keeps a request's id in an
 * AsyncLocalStorage finds it again.
 */
function bound(act: Act, given: unknown[]): () => void {
  if (typeof act !== 'function') throw new TypeError('The "callback" argument must be of type function');
  const resource = new AsyncResource('Timeout');
  return given.length === 0
    ? () => resource.runInAsyncScope(act)
    : () => resource.runInAsyncScope(act, undefined, ...given);
}

export interface VirtualTimers {
  setTimeout: typeof setTimeout;
  setInterval: typeof setInterval;
  setImmediate: typeof setImmediate;
  clearTimeout: typeof clearTimeout;
  clearInterval: typeof clearInterval;
  clearImmediate: typeof clearImmediate;
  /** The functions of `timers/promises`. */
  promises: Record<string, unknown>;
  /** AbortSignal.timeout */
  abortAfter(ms: number): AbortSignal;
}

/** Every timer belongs to whoever sets it: `loop.actor`. */
export function virtualTimers(loop: VirtualLoop): VirtualTimers {
  const start =
    (again: boolean) =>
    (act: Act, ms?: unknown, ...given: unknown[]) =>
      new VirtualTimeout(loop, delayOf(ms), bound(act, given), again);
  // In this instant, but after everything that stands in it already.
  const immediate = (act: Act, ...given: unknown[]) => {
    const entry = loop.schedule(loop.nowMs, loop.owner('setImmediate'), bound(act, given), undefined);
    return { entry, ref: keep, unref: keep, hasRef: () => true, [Symbol.dispose]: () => loop.cancel(entry) };
  };
  const clear = (timer: unknown) => {
    if (timer instanceof VirtualTimeout) timer.close();
    else if (typeof timer === 'number' || typeof timer === 'string')
      VirtualTimeout.byId.get(Number(timer))?.close();
  };
  const sleep = sleeper(start(false), clear);
  const clearImmediate = (timer: { entry?: Entry } | undefined) => timer?.entry && loop.cancel(timer.entry);
  const setTimeout = Object.assign(start(false), { [promisify.custom]: sleep });
  const soon = (value?: unknown, options?: Options) => sleep(0, value, options);
  const setImmediate = Object.assign(immediate, { [promisify.custom]: soon });
  const timers = { setTimeout, setInterval: start(true), setImmediate, clearTimeout: clear };
  return {
    ...timers,
    clearInterval: clear,
    clearImmediate,
    promises: { setTimeout: sleep, setImmediate: soon, setInterval: interval(sleep) },
    abortAfter: abortAfter(start(false)),
  } as unknown as VirtualTimers;
}

function keep<T>(this: T): T {
  return this;
}

interface Options {
  signal?: AbortSignal;
}
type Start = (act: Act, ms?: unknown, ...given: unknown[]) => VirtualTimeout;

const sleeper =
  (start: Start, clear: (timer: unknown) => void) =>
  (ms?: number, value?: unknown, { signal }: Options = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const gone = () => {
        clear(timer);
        reject(
          Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }),
        );
      };
      const timer = start(() => {
        signal?.removeEventListener('abort', gone);
        resolve(value);
      }, ms);
      if (signal?.aborted) gone();
      else signal?.addEventListener('abort', gone, { once: true });
    });

function interval(sleep: (ms?: number, value?: unknown, options?: Options) => Promise<unknown>) {
  return async function* (ms?: number, value?: unknown, options?: Options) {
    for (;;) yield await sleep(ms, value, options);
  };
}

const abortAfter =
  (start: Start) =>
  (ms: number): AbortSignal => {
    const stop = new AbortController();
    const reason = () => new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    start(() => stop.abort(reason()), ms);
    return stop.signal;
  };
