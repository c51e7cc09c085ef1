import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Next, Stage } from './toxics/toxic.ts';

/** When the last byte passed, in either direction: shared by both lanes of a link. */
export interface Activity {
  lastMs: number;
}

interface Step {
  name: string;
  stage: Stage;
  after: { next: Step | null };
}

/**
 * What the stages of one lane may hold before its source is read no further. Buffers held longer than V8's young
 * generation lives are freed late: a gigabyte through a bandwidth toxic took 90 MB resident with this, 142 with twice it.
 */
export const heldBytesMax = 2 * 1024 * 1024;

/**
 * One direction of a link: source > stages > sink, first in first out. A full sink or full stages stop the source.
 * Without a stage a chunk is stamped and written, nothing else: that path carries the load.
 */
export class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #activity: Activity;
  readonly #clock: Clock;
  readonly #reset: (sink: Socket) => void;
  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onEnd = () => this.finish('fin');
  readonly #onDrain = () => this.#balance();
  #first: Step | null = null;
  #finish: 'fin' | 'rst' | null = null;
  #finished = false;
  #closed = false;

  /** `reset` ends the sink when the source was reset. */
  constructor(source: Socket, sink: Socket, activity: Activity, clock: Clock, reset: (sink: Socket) => void) {
    this.#source = source;
    this.#sink = sink;
    this.#activity = activity;
    this.#clock = clock;
    this.#reset = reset;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    sink.on('drain', this.#onDrain);
    // A client may connect and end while its upstream is dialed.
    if (source.readableEnded) this.finish('fin');
  }

  /** What its stages keep in memory. */
  get heldBytes(): number {
    let sum = 0;
    for (let step = this.#first; step !== null; step = step.after.next) sum += step.stage.heldBytes;
    return sum;
  }

  add(name: string, make: (next: Next) => Stage): void {
    const after: Step['after'] = { next: null };
    const stage = make({
      push: chunk => (after.next === null ? this.#emit(chunk) : after.next.stage.push(chunk)),
      end: () => (after.next === null ? this.#emitEnd() : after.next.stage.end()),
    });
    const last = this.#steps().at(-1);
    if (last === undefined) this.#first = { name, stage, after };
    else last.after.next = { name, stage, after };
  }

  get(name: string): Stage | undefined {
    return this.#steps().find(step => step.name === name)?.stage;
  }

  /** `why`: the toxic is gone, or only its hold on this link. */
  remove(name: string, why: 'removed' | 'released'): void {
    const steps = this.#steps();
    const at = steps.findIndex(step => step.name === name);
    if (at < 0) return;
    const step = steps[at]!;
    step.stage.flush();
    if (why === 'removed') step.stage.removed?.();
    // Either may have ended the link.
    if (this.#closed) return;
    if (at === 0) this.#first = step.after.next;
    else steps[at - 1]!.after.next = step.after.next;
    step.stage.close();
    this.#balance();
  }

  /** The source ended (fin) or broke (rst): the sink learns of it after everything that came before. */
  finish(how: 'fin' | 'rst'): void {
    const first = this.#finish === null;
    this.#finish = how;
    if (this.#finished) this.#emitEnd();
    else if (first && this.#first !== null) this.#first.stage.end();
    else if (first) this.#emitEnd();
  }

  /** What is on its way arrives, as far as it can. */
  flush(): void {
    for (const step of this.#steps()) if (!step.stage.blocks) step.stage.flush();
  }

  /** Forgets what is held and lets go of the sockets; they are somebody else's now. */
  close(): void {
    this.#closed = true;
    for (const step of this.#steps()) step.stage.close();
    this.#first = null;
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#sink.off('drain', this.#onDrain);
  }

  #take(chunk: Buffer): void {
    this.#activity.lastMs = this.#clock.nowMs();
    if (this.#first !== null) {
      this.#first.stage.push(chunk);
      this.#balance();
    } else if (!this.#sink.write(chunk)) this.#source.pause();
  }

  #emit(chunk: Buffer): void {
    if (this.#closed) return;
    this.#activity.lastMs = this.#clock.nowMs();
    this.#sink.write(chunk);
    this.#balance();
  }

  #emitEnd(): void {
    if (this.#closed) return;
    this.#finished = true;
    if (this.#finish === 'rst') this.#reset(this.#sink);
    else this.#sink.end();
  }

  #balance(): void {
    if (this.#closed) return;
    const held = this.heldBytes;
    if (this.#sink.writableNeedDrain || held > heldBytesMax) this.#source.pause();
    else if (held <= heldBytesMax / 2 && this.#source.isPaused()) this.#source.resume();
  }

  #steps(): Step[] {
    const steps: Step[] = [];
    for (let step = this.#first; step !== null; step = step.after.next) steps.push(step);
    return steps;
  }
}
