/**
 * The only clock and timer of the harness. Everything that waits or stamps takes a Clock by argument,
 * so that virtual time can stand in for it. Times are milliseconds of CLOCK_MONOTONIC, with fractions.
 */
export interface Clock {
  nowMs(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts (it never rejects: look at the signal). */
  sleepMs(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `tick` every `ms` until the returned function is called. */
  every(ms: number, tick: () => void): () => void;
  /** Calls `act` once after `ms`, unless the returned function is called first. */
  after(ms: number, act: () => void): () => void;
}

// Taken once: a virtual world replaces the globals while it runs, and this one stays real.
const { setTimeout, clearTimeout, setInterval, clearInterval, Date: RealDate } = globalThis;
const performanceNow = performance.now.bind(performance);

// performance.now() reads the same clock without a BigInt, from another zero.
const performanceZeroMs = Number(process.hrtime.bigint()) / 1e6 - performanceNow();

export const realClock: Clock = {
  nowMs: () => performanceNow() + performanceZeroMs,
  sleepMs: (ms, signal) =>
    new Promise(resolve => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done);
    }),
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    return () => clearInterval(timer);
  },
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/** A trial's clock: 0 until it is started, so that what comes before stands at 0. */
export interface TrialClock extends Clock {
  start(): void;
  realNowMs(): number;
  /** A time of the underlying clock on this one. */
  fromReal(ms: number): number;
}

export function trialClock(clock: Clock): TrialClock {
  let zeroMs: number | null = null;
  const fromReal = (ms: number): number => (zeroMs === null ? 0 : round3(ms - zeroMs));
  return {
    ...clock,
    fromReal,
    realNowMs: () => clock.nowMs(),
    nowMs: () => fromReal(clock.nowMs()),
    start: () => {
      zeroMs = clock.nowMs();
    },
  };
}

/** Wall time, for what is told to people (`run.json`); never for measuring. */
export const wallNow = (): Date => new RealDate();

export const round3 = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Resolves to the promise's value, or to `late` when it takes longer than `ms`. The promise goes on. */
export async function within<T, L>(clock: Clock, ms: number, promise: Promise<T>, late: L): Promise<T | L> {
  const stop = new AbortController();
  try {
    return await Promise.race([promise, clock.sleepMs(ms, stop.signal).then(() => late)]);
  } finally {
    // With a reason, or an exception is made for it, stack and all.
    stop.abort('done');
  }
}

export type Waited = 'met' | 'timeout' | 'aborted';

/** Polls `met` every `everyMs` until it is true, `limitMs` has passed or the signal aborts. */
export async function waitUntil(
  clock: Clock,
  met: () => boolean | Promise<boolean>,
  { everyMs, limitMs, signal }: { everyMs: number; limitMs: number; signal?: AbortSignal },
): Promise<Waited> {
  const end = clock.nowMs() + limitMs;
  for (;;) {
    if (await met()) return 'met';
    if (signal?.aborted) return 'aborted';
    if (clock.nowMs() >= end) return 'timeout';
    await clock.sleepMs(everyMs, signal);
  }
}
