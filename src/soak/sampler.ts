import { round3, type TrialClock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { World } from '../world/world.ts';

export interface SamplerContext {
  clock: TrialClock;
  ledger: Ledger;
  world: World;
  sampleMs: number;
  virtual: boolean;
  /** A healthy SELECT 1 would be slow or fail now, by a fault's doing. */
  disturbed(): boolean;
  /** p99 of the harness's own event loop since the last call; null where there is none to speak of. */
  loopDelayMs(): number | null;
}

const machineProbeMs = 250;
const machineProbeTimeoutMs = 2000;

/** Looks at the server through the side door, and at the machine through a SELECT 1 of our own, until stopped. */
export function startSampler(context: SamplerContext): () => Promise<void> {
  const { clock, sampleMs } = context;
  const stop = new AbortController();
  const loops = [repeat(clock, sampleMs, stop.signal, () => sample(context))];
  // In virtual time no machine can be slow.
  if (!context.virtual) loops.push(repeat(clock, machineProbeMs, stop.signal, () => probeMachine(context)));
  return async () => {
    stop.abort();
    await Promise.all(loops);
  };
}

/** One at a time: a slow server must not gather a queue of our own questions. */
async function repeat(clock: TrialClock, everyMs: number, signal: AbortSignal, act: () => Promise<void>) {
  while (!signal.aborted) {
    const startMs = clock.nowMs();
    await act();
    await clock.sleepMs(Math.max(1, everyMs - (clock.nowMs() - startMs)), signal);
  }
}

async function sample({ world, ledger, loopDelayMs }: SamplerContext): Promise<void> {
  const counts = await world.sideDoor.sessions().catch(() => null);
  // Away, as during a restart: no sample is the truth.
  if (counts) ledger.append({ k: 'sample', ...counts, harnessLoopDelayMs: loopDelayMs() });
}

async function probeMachine({ world, ledger, clock, disturbed }: SamplerContext): Promise<void> {
  if (disturbed()) return;
  const startMs = clock.nowMs();
  const { works, code } = await world.probeMachine(machineProbeTimeoutMs);
  // A fault that came in between explains the answer, so it says nothing of the machine.
  if (disturbed()) return;
  ledger.append({
    k: 'probe',
    what: 'machine',
    fault: null,
    works,
    tookMs: round3(clock.nowMs() - startMs),
    code,
  });
}
