import type { Clock } from '../clock.ts';
import { Actor, OutsideError, VirtualTimeError } from './actor.ts';
import { before, pop, push } from './queue.ts';

export { Actor, VirtualTimeError } from './actor.ts';

/**
 * Virtual time: everything that will happen stands in one queue, by time and then by the order it was put
 * there, and time jumps from one entry to the next. Nothing in it reads a real clock, so that the same
 * entries always happen in the same order.
 */

/** Something that will happen. */
export interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly actor: Actor;
  /** null: it happened, or was cancelled. */
  act: ((argument: never) => void) | null;
  argument: unknown;
}

/** `burst`: many steps a turn of the real event loop. `single`: one, which must make no difference. */
export type Drive = 'burst' | 'single';

export interface LoopOptions {
  drive?: Drive;
  /** Steps at one instant before the loop is taken for one that turns in place. */
  stepsAtOnceMax?: number;
}

// Taken before anything is replaced: these are what drives virtual time.
const realImmediate = setImmediate;
const realTimeout = setTimeout;

const realNowMs = performance.now.bind(performance);

const heldMsMax = 30_000;
const burst = 64;
const idleTriesMax = 50;

export class VirtualLoop {
  /** Virtual ms since the world began. Only the loop writes it. */
  nowMs = 0;
  /** Steps taken so far. */
  steps = 0;
  /** On whose behalf the current step, and every promise it settles, runs. */
  actor: Actor;
  /** The harness and the world around the workers; an error of its own ends the run. */
  readonly root: Actor;
  #heap: Entry[] = [];
  #order = 0;
  #cancelled = 0;
  #drive: Drive;
  #stepsAtOnceMax: number;
  #atOnce = 0;
  #held: Held[] = [];
  #settlers = 0;
  #fail: (error: unknown) => void = () => {};
  /** Between two bursts of steps, where only what is not virtual comes back. */
  #isOutside = false;
  #heldSinceMs: number | null = null;
  #running = false;

  constructor({ drive = 'burst', stepsAtOnceMax = 1_000_000 }: LoopOptions = {}) {
    this.#drive = drive;
    this.#stepsAtOnceMax = stepsAtOnceMax;
    this.root = new Actor('harness', error => this.#fail(error));
    this.actor = this.root;
  }

  /** `act(argument)` at `atMs` (never before now), on behalf of `actor`. */
  schedule<A>(atMs: number, actor: Actor, act: (argument: A) => void, argument: A): Entry {
    this.#order += 1;
    const at = atMs > this.nowMs ? atMs : this.nowMs;
    const entry: Entry = { atMs: at, order: this.#order, actor, act, argument };
    push(this.#heap, entry);
    return entry;
  }

  cancel(entry: Entry): void {
    if (entry.act === null) return;
    entry.act = null;
    entry.argument = null;
    this.#cancelled += 1;
    // Timeouts that never fire are most of what is put there.
    if (this.#cancelled > 1000 && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  #sweep(): void {
    const left = this.#heap.filter(({ act }) => act !== null).sort((a, b) => (before(a, b) ? -1 : 1));
    this.#heap = left;
    this.#cancelled = 0;
  }

  /** The clock of one actor: what it waits for never happens once it has ended. */
  clockOf(actor: Actor): Clock {
    const after = (ms: number, act: () => void) => {
      const entry = this.schedule(this.nowMs + ms, actor, act, undefined);
      return () => this.cancel(entry);
    };
    return {
      nowMs: () => this.nowMs,
      after,
      every: (ms, tick) => {
        let stop = () => {};
        const again = () => {
          stop = after(ms, again);
          tick();
        };
        stop = after(ms, again);
        return () => stop();
      },
      sleepMs: (ms, signal) =>
        new Promise(resolve => {
          if (signal?.aborted) return resolve();
          const done = () => {
            stop();
            signal?.removeEventListener('abort', done);
            resolve();
          };
          const stop = after(ms, done);
          signal?.addEventListener('abort', done);
        }),
    };
  }

  /**
   * Real work on the way, such as a hash in a thread: time stands still until it is done. Results arrive in
   * the order in which the work began, each on behalf of who began it.
   */
  hold<T>(work: Promise<T>): Promise<T> {
    if (!this.#running) return work;
    return new Promise((resolve, reject) => {
      const held: Held = { actor: this.actor, deliver: null };
      this.#held.push(held);
      work.then(
        value => this.#delivered(held, () => resolve(value)),
        error => this.#delivered(held, () => reject(error)),
      );
    });
  }

  #delivered(held: Held, deliver: () => void): void {
    held.deliver = deliver;
    while (this.#held[0]?.deliver) {
      const { actor, deliver: next } = this.#held.shift()!;
      this.schedule(this.nowMs, actor, next!, undefined);
    }
  }

  /**
   * Something works in turns of the real event loop that we do not see (TLS): until the returned function
   * is called every step is followed by a few of them.
   */
  settle(): () => void {
    this.#settlers += 1;
    let done = false;
    return () => {
      if (!done) this.#settlers -= 1;
      done = true;
    };
  }

  /** Virtual time passes until `main` is settled. */
  run<T>(main: () => Promise<T>): Promise<T> {
    this.#running = true;
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#running = false;
        // Behind the steps of this burst that will not be taken: they hold the whole world.
        realImmediate(settle);
      };
      this.#fail = error => end(() => reject(error));
      this.actor = this.root;
      main().then(
        value => end(() => resolve(value)),
        error => end(() => reject(error)),
      );
      this.#again();
    });
  }

  /** At once, on behalf of another: what it throws is that one's. Only for what settles no promise. */
  as<A>(actor: Actor, act: (argument: A) => void, argument: A): void {
    const before = this.actor;
    this.actor = actor;
    try {
      act(argument);
    } catch (error) {
      this.thrown(error);
    } finally {
      this.actor = before;
    }
  }

  /** What nobody caught: of a promise, or of a callback the step led to. */
  thrown(error: unknown): void {
    if (this.#isOutside && this.#running)
      this.#fail(new OutsideError(`threw: ${(error as Error)?.message ?? error}`));
    else this.actor.crashed(error);
  }

  /** Whose timer or socket is being made. Nobody can say that of what real work (a file, `fetch`) left behind. */
  owner(what: string): Actor {
    if (this.#isOutside && this.#running) this.#fail(new OutsideError(`set a ${what}`));
    return this.actor;
  }

  #turn(): void {
    if (!this.#running) return;
    this.actor = this.root;
    this.#isOutside = true;
    if (this.#held.length > 0) return this.#waitForHeld();
    this.#heldSinceMs = null;
    if (this.#heap.length === 0) return this.#idle(idleTriesMax);
    if (this.#settlers > 0 || this.#drive === 'single') {
      realImmediate(this.#step);
      this.#again(this.#settlers > 0 ? 4 : 1);
      return;
    }
    // Between two immediates node runs what promises and nextTick want done, as between two timers.
    for (let n = 0; n < burst; n += 1) realImmediate(this.#step);
    this.#again();
  }

  #waitForHeld(): void {
    this.#heldSinceMs ??= realNowMs();
    if (realNowMs() - this.#heldSinceMs < heldMsMax) return this.#again();
    this.#fail(
      new VirtualTimeError(
        `virtual time was held for ${heldMsMax / 1000} real s (the limit) by work of ${this.#held[0]!.actor.name} that does not end; perhaps it waits for virtual time itself`,
      ),
    );
  }

  /** After some more turns of the real loop. */
  #again(turns = 1): void {
    realImmediate(() => (turns > 1 ? this.#again(turns - 1) : this.#turn()));
  }

  /** Nothing will happen, and yet somebody waits: perhaps for real work we do not know of. */
  #idle(tries: number): void {
    if (!this.#running) return;
    if (this.#heap.length > 0 || this.#held.length > 0) return this.#turn();
    if (tries > 0) return void realTimeout(() => this.#idle(tries - 1), 20);
    const seconds = (idleTriesMax * 20) / 1000;
    this.#fail(
      new VirtualTimeError(
        `virtual time stands still at ${this.nowMs} ms: nothing is left to happen, and whoever is waited for did not come in ${seconds} real s`,
      ),
    );
  }

  #step = (): void => {
    if (!this.#running || this.#held.length > 0) return;
    let entry = pop(this.#heap);
    while (entry && (entry.act === null || !entry.actor.alive)) {
      if (entry.act === null) this.#cancelled -= 1;
      entry = pop(this.#heap);
    }
    if (!entry) return;
    const { atMs, actor, argument } = entry;
    const act = entry.act as (argument: unknown) => void;
    entry.act = null;
    this.#count(atMs);
    this.nowMs = atMs;
    this.actor = actor;
    this.#isOutside = false;
    try {
      act(argument);
    } catch (error) {
      this.thrown(error);
    }
  };

  #count(atMs: number): void {
    this.steps += 1;
    if (atMs !== this.nowMs) this.#atOnce = 0;
    this.#atOnce += 1;
    if (this.#atOnce <= this.#stepsAtOnceMax) return;
    this.#fail(
      new VirtualTimeError(
        `virtual time does not advance: over ${this.#stepsAtOnceMax} steps at ${atMs} ms, the last on behalf of ${this.actor.name}`,
      ),
    );
  }
}

interface Held {
  actor: Actor;
  /** Set when the work is done. */
  deliver: (() => void) | null;
}
