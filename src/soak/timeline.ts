import { round3, type TrialClock } from '../clock.ts';
import type { Fault, Heal, Planned } from '../faults/fault.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Fault as FaultFact } from '../ledger/record.ts';
import type { Plan, PlannedFault } from '../plan.ts';
import type { World } from '../world/world.ts';

export interface TimelineContext {
  plan: Plan;
  clock: TrialClock;
  ledger: Ledger;
  world: World;
  faults: Record<string, Fault>;
  /** Aborted when the trial is to stop. */
  signal: AbortSignal;
  /** At phase edges. */
  mark(name: string): void;
}

const probeEveryMs = 50;
/** In virtual time, of the scenario: finer than a real run at any speed over 10, and ten times less to do. */
const virtualProbeEveryMs = 500;
const probeTimeoutMs = 1000;
/** Real ms from heal called to healed; beyond, the trial cannot be judged. */
const healLimitMs = 30_000;

/** The faults of the plan, each injected and healed at its time; what still lasts is healed when asked to. */
export class Timeline {
  /** Faults that last now. */
  readonly active = new Set<PlannedFault>();
  #context: TimelineContext;
  #stop = new AbortController();
  #running: Promise<void>[];

  constructor(context: TimelineContext) {
    this.#context = context;
    this.#running = context.plan.faults.map(fault => this.#run(fault));
  }

  /** No new fault from here on; those that last are healed. Resolves when all are. */
  async healAll(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #run(planned: PlannedFault): Promise<void> {
    const { clock, mark } = this.#context;
    const { signal } = this.#stop;
    await clock.sleepMs(Math.max(0, planned.atMs - clock.nowMs()), signal);
    if (signal.aborted) return;
    this.active.add(planned);
    mark(`inject ${planned.id}`);
    try {
      await this.#live(planned);
    } catch (error) {
      this.#fact(planned, 'error', { detail: (error as Error).message });
      this.#fact(planned, 'not-healed', { detail: 'a step of it failed' });
    }
    this.active.delete(planned);
    mark(`healed ${planned.id}`);
  }

  async #live(planned: PlannedFault): Promise<void> {
    const { clock, world, faults } = this.#context;
    const { signal } = this.#stop;
    const fault = faults[planned.name]!;
    this.#fact(planned, 'inject');
    const probing = planned.kind === 'outage' ? this.#probe(planned) : null;
    try {
      const settings = planned.settings as Planned<Fault['settings']>;
      const heal = await fault.inject(world, planned.id, settings, signal);
      await clock.sleepMs(Math.max(0, planned.untilMs - clock.nowMs()), signal);
      await this.#heal(planned, heal, probing);
    } finally {
      probing?.stop();
    }
  }

  async #heal(planned: PlannedFault, heal: Heal, probing: Probing | null): Promise<void> {
    this.#fact(planned, 'heal-called');
    probing?.healCalled();
    await heal();
    if (!probing) return this.#fact(planned, 'healed');
    const { clock, signal } = this.#context;
    const waited = new AbortController();
    // A trial that is being stopped does not wait: with its proxy gone no probe will ever work.
    const limit = clock.sleepMs(healLimitMs, AbortSignal.any([signal, waited.signal])).then(() => false);
    const healed = await Promise.race([probing.healed, limit]);
    waited.abort();
    if (!healed && !signal.aborted)
      this.#fact(planned, 'not-healed', { detail: `no probe worked within ${healLimitMs} ms` });
  }

  /** From inject to healed: does the service answer? One at a time, every 50 ms. */
  #probe(planned: PlannedFault): Probing {
    const { clock, world, ledger, plan } = this.#context;
    const everyMs = plan.virtual ? Math.max(probeEveryMs, virtualProbeEveryMs / plan.speed) : probeEveryMs;
    const stop = new AbortController();
    let healCalled = false;
    let lastFailedMs: number | null = null;
    const once = async (): Promise<boolean> => {
      const startMs = clock.nowMs();
      const { works, code } = await world.probeOutage(probeTimeoutMs);
      // Stopped meanwhile: what is said of the fault is said already.
      if (stop.signal.aborted) return false;
      const atMs = clock.nowMs();
      ledger.append({
        k: 'probe',
        what: 'outage',
        fault: planned.id,
        works,
        tookMs: round3(atMs - startMs),
        code,
      });
      if (!works && lastFailedMs === null) this.#fact(planned, 'effective', { atMs });
      if (!works) lastFailedMs = atMs;
      if (!works || !healCalled) return false;
      if (lastFailedMs !== null) this.#fact(planned, 'last-failed', { atMs: lastFailedMs });
      this.#fact(planned, 'healed', { atMs });
      return true;
    };
    const loop = async (): Promise<boolean> => {
      while (!stop.signal.aborted) {
        const startMs = clock.nowMs();
        if (await once()) return true;
        await clock.sleepMs(Math.max(0, everyMs - (clock.nowMs() - startMs)), stop.signal);
      }
      return false;
    };
    return {
      healed: loop(),
      healCalled: () => {
        healCalled = true;
      },
      stop: () => stop.abort(),
    };
  }

  #fact(fault: PlannedFault, ev: FaultFact['ev'], more: { atMs?: number; detail?: string } = {}): void {
    const { ledger, clock } = this.#context;
    const { atMs = clock.nowMs(), detail = null } = more;
    ledger.append({ k: 'fault', fault: fault.id, ev, atMs, detail });
  }
}

interface Probing {
  /** true once a probe worked after heal was called. */
  healed: Promise<boolean>;
  healCalled(): void;
  stop(): void;
}
