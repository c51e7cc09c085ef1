import type { TrialClock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Settled } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import type { Random } from '../random.ts';
import { type Arrival, arrivals } from '../workload/arrivals.ts';
import type { WorkerSlot } from './worker-slot.ts';

/** Live counts, for the eye only; the ledger is what is judged. */
export interface Counts {
  scheduled: number;
  acked: number;
  rejected: number;
  failed: number;
  open: number;
}

export interface DriverContext {
  plan: Plan;
  clock: TrialClock;
  ledger: Ledger;
  slots: readonly WorkerSlot[];
  random: Random;
}

/** Hands every submit to its session's worker when it falls due, whatever became of those before. */
export class Driver {
  readonly counts: Counts = { scheduled: 0, acked: 0, rejected: 0, failed: 0, open: 0 };
  #context: DriverContext;
  #wake = () => {};

  constructor(context: DriverContext) {
    this.#context = context;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { plan } = this.#context;
    return plan.arrivals ? this.#inFlight(plan.arrivals, signal) : this.#onSchedule(signal);
  }

  async #onSchedule(signal: AbortSignal): Promise<void> {
    const { plan, clock, random } = this.#context;
    const due = arrivals(plan.workload, plan.durationMs, random);
    let next = due.next();
    let stop = () => {};
    let aborted = () => {};
    await new Promise<void>(over => {
      // One timer at a time, and no promise for each of a million.
      const go = () => {
        for (; !next.done && next.value.scheduledMs <= clock.nowMs(); next = due.next())
          this.#submit(next.value);
        const waitMs = (next.done ? plan.durationMs : next.value.scheduledMs) - clock.nowMs();
        if (next.done && waitMs <= 0) over();
        // Rounded up: a timer of 1.3 ms would fire after 1.
        else stop = clock.after(Math.ceil(waitMs), go);
      };
      aborted = over;
      signal.addEventListener('abort', aborted, { once: true });
      if (signal.aborted) over();
      else go();
    });
    stop();
    signal.removeEventListener('abort', aborted);
  }

  /** Benchmarks: the next one goes when one comes back. */
  async #inFlight(
    { inFlight, count, forMs }: NonNullable<Plan['arrivals']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, plan } = this.#context;
    const aborted = () => this.#wake();
    signal.addEventListener('abort', aborted, { once: true });
    const end = clock.nowMs() + (forMs ?? Number.POSITIVE_INFINITY);
    const seqs = new Uint32Array(plan.workload.sessions);
    for (let n = 0; n < count && !signal.aborted && clock.nowMs() < end; n += 1) {
      if (this.counts.open >= inFlight)
        await new Promise<void>(wake => {
          this.#wake = wake;
        });
      const session = n % seqs.length;
      this.#submit({ scheduledMs: clock.nowMs(), session, seq: seqs[session]!++, valid: true });
    }
    signal.removeEventListener('abort', aborted);
  }

  #submit({ scheduledMs, session, seq, valid }: Arrival): void {
    const { slots, plan, ledger } = this.#context;
    const slot = slots[session % slots.length]!;
    const id = this.counts.scheduled;
    const { rows } = plan.workload;
    this.counts.scheduled += 1;
    const answer = slot.submit({ k: 'submit', id, session, seq, rows, valid });
    const sent = answer === 'sent';
    const { worker, life } = slot;
    const why = sent ? null : answer;
    ledger.append({ k: 'submit', id, worker, life, session, seq, rows, valid, scheduledMs, sent, why });
    if (sent) this.counts.open += 1;
    else this.counts.failed += 1;
  }

  settled({ outcome }: Settled): void {
    const { counts } = this;
    counts.open -= 1;
    if (outcome === 'acked') counts.acked += 1;
    else if (outcome === 'rejected') counts.rejected += 1;
    else counts.failed += 1;
    this.#wake();
  }

  /** Submits that went down with their worker will never settle. */
  lost(open: number): void {
    this.counts.open -= open;
    this.counts.failed += open;
    this.#wake();
  }
}
