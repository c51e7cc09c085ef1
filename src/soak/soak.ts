import type { TrialClock } from '../clock.ts';
import { waitUntil } from '../clock.ts';
import { UsageError } from '../failure.ts';
import type { Fault } from '../faults/fault.ts';
import { type Ledger, redactor } from '../ledger/ledger.ts';
import { schemaVersion } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import { seeded } from '../random.ts';
import type { World } from '../world/world.ts';
import { type Counts, Driver } from './driver.ts';
import { finalRead } from './final-read.ts';
import type { SpawnWorker } from './link.ts';
import { startSampler } from './sampler.ts';
import { Timeline } from './timeline.ts';
import { WorkerSlot } from './worker-slot.ts';

export interface SoakContext {
  plan: Plan;
  world: World;
  ledger: Ledger;
  clock: TrialClock;
  /** Where the world's own words are to be recorded, once the ledger has its header. */
  events: { recordIn(ledger: Ledger | null): void };
  faults: Record<string, Fault>;
  spawn: SpawnWorker;
  versions: Record<string, string>;
  /** Aborted with a reason that names the trouble: `interrupted`, `proxy-lost`, ... */
  signal: AbortSignal;
  loopDelayMs(): number | null;
  watch(status: SoakStatus): void;
  /** A phase begins. */
  entered?(phase: string): void;
}

/** For the eye, read whenever one likes while the soak runs. */
export interface SoakStatus {
  phase(): string;
  elapsedMs(): number;
  counts: Counts;
  gauges(): { total: number; idle: number; acquired: number; waiting: number; down: number };
}

const readyLimitMs = 20_000;
const closeDeadlineMs = 300;
const flushEveryMs = 500;
const sampleEveryMs = 250;

/** One trial, from the first app worker's start to the last row read. Everything it sees goes to the ledger. */
export async function soak(context: SoakContext): Promise<void> {
  const { plan, world, ledger, clock, signal, versions } = context;
  const { proxyVersion } = world;
  const toxiproxy: Record<string, string> = proxyVersion ? { toxiproxy: proxyVersion } : {};
  ledger.append({
    k: 'header',
    schemaVersion,
    trial: plan.trial,
    plan,
    versions: { ...versions, ...toxiproxy, server: world.serverVersion },
  });
  // A run that is killed from here on has a ledger that can be read.
  ledger.flush();
  context.events.recordIn(ledger);
  const tables = await world.sideDoor.createTables(plan.trial);
  const slots: WorkerSlot[] = [];
  const driver = new Driver({ plan, clock, ledger, slots, random: seeded('arrivals', plan.seed) });
  for (let worker = 0; worker < plan.workers; worker += 1) slots.push(slot(worker, context, tables, driver));
  const phase = phases(ledger, slots, context.entered);
  context.watch({
    phase: () => phase.name,
    elapsedMs: () => clock.nowMs(),
    counts: driver.counts,
    gauges: () => sumGauges(slots),
  });
  const stopFlush = clock.every(plan.virtual ? plan.sampleMs : flushEveryMs, () => ledger.flush());
  const closeAll = () => Promise.all(slots.map(each => each.close(closeDeadlineMs)));
  try {
    await allReady(slots, context);
    clock.start();
    await drive(context, driver, slots, phase);
    phase.enter('close');
    await closeAll();
    ledger.append({ k: 'note', what: 'final-read', name: 'close-workers', ok: true, detail: null });
    if (readable(signal)) await finalRead(world, ledger, plan.trial, clock);
  } finally {
    await closeAll();
    stopFlush();
    context.events.recordIn(null);
    if (signal.aborted)
      ledger.append({ k: 'note', what: 'trouble', name: `${signal.reason}`, ok: false, detail: null });
  }
}

/** After a SIGINT there is still something to read; without a proxy or a guardian nothing may be trusted. */
const readable = (signal: AbortSignal): boolean => !signal.aborted || signal.reason === 'interrupted';

function slot(
  worker: number,
  { plan, clock, ledger, spawn, world }: SoakContext,
  tables: { writes: string; keys: string },
  driver: Driver,
): WorkerSlot {
  return new WorkerSlot(worker, {
    plan,
    clock,
    ledger,
    spawn,
    open: { endpoint: world.endpoint, tables },
    settled: fact => driver.settled(fact),
    lost: open => driver.lost(open),
  });
}

interface Phases {
  name: string;
  enter(name: string): void;
}

function phases(ledger: Ledger, slots: readonly WorkerSlot[], entered?: (phase: string) => void): Phases {
  const phase: Phases = {
    name: 'starting',
    enter(name) {
      phase.name = name;
      entered?.(name);
      ledger.append({ k: 'note', what: 'phase', name, ok: true, detail: null });
      for (const each of slots) each.mark(name);
    },
  };
  return phase;
}

async function allReady(
  slots: readonly WorkerSlot[],
  { clock, plan, signal, world }: SoakContext,
): Promise<void> {
  for (const each of slots) each.start();
  const settled = () => slots.some(each => each.failed) || slots.every(each => each.state === 'ready');
  // The trial's clock stands at 0 until it starts, so the limit is kept on the real one.
  const real = { ...clock, nowMs: clock.realNowMs };
  const waited = await waitUntil(real, settled, { everyMs: 2, limitMs: readyLimitMs, signal });
  const failed = slots.find(each => each.failed)?.failed;
  if (!failed && waited !== 'timeout') return;
  const last = slots.map(each => each.lastOutput).find(text => text !== '') ?? 'they said nothing';
  const why = failed
    ? `its pool could not be opened: ${failed}`
    : `app workers not ready within ${readyLimitMs / 1000} s; the last words of one: ${last}`;
  throw new UsageError(`candidate ${plan.candidate}: ${redactor(world.secrets)(why)}`);
}

/** The part where time passes: faults come and go, submits arrive, until none is open or the drain is over. */
async function drive(context: SoakContext, driver: Driver, slots: readonly WorkerSlot[], phase: Phases) {
  const { plan, ledger, clock, world, faults, signal, loopDelayMs } = context;
  const mark = (name: string) => {
    for (const each of slots) each.mark(name);
  };
  phase.enter('soak');
  const timeline = new Timeline({ plan, clock, ledger, world, faults, signal, mark });
  const disturbed = () => [...timeline.active].some(fault => fault.disturbsProbe);
  const { virtual } = plan;
  const sampleMs = Math.max(plan.sampleMs, sampleEveryMs);
  const stopSampler = startSampler({ clock, ledger, world, sampleMs, virtual, disturbed, loopDelayMs });
  try {
    await driver.run(signal);
    await timeline.healAll();
    phase.enter('drain');
    const drained = () => driver.counts.open === 0;
    const waited = await waitUntil(clock, drained, { everyMs: 5, limitMs: plan.drainMs, signal });
    const detail = `${driver.counts.open} open`;
    ledger.append({ k: 'note', what: 'final-read', name: 'drain', ok: waited === 'met', detail });
  } finally {
    await timeline.healAll();
    await stopSampler();
  }
}

function sumGauges(slots: readonly WorkerSlot[]): ReturnType<SoakStatus['gauges']> {
  const sum = { total: 0, idle: 0, acquired: 0, waiting: 0, down: 0 };
  for (const { gauges, state } of slots) {
    if (state !== 'ready') sum.down += 1;
    if (!gauges || state !== 'ready') continue;
    sum.total += gauges.total;
    sum.idle += gauges.idle;
    sum.acquired += gauges.acquired;
    sum.waiting += gauges.waiting;
  }
  return sum;
}
