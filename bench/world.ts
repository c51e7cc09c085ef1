import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../src/clock.ts';
import { type Guardian, openGuardian } from '../src/guardian/guardian.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { type Plan, planTrial } from '../src/plan.ts';
import { registries } from '../src/registries.ts';
import { validateScenario } from '../src/scenario.ts';
import { processWorkers } from '../src/soak/process-link.ts';
import { type SoakStatus, soak } from '../src/soak/soak.ts';
import { startTrial } from '../src/trial.ts';
import { watchLoop } from '../src/vitals.ts';
import { openWorld } from '../src/world/open.ts';
import type { World } from '../src/world/world.ts';

export interface Bench {
  world: World;
  guardian: Guardian;
  folder: string;
  /** One trial of `inFlight` submits at a time; returns what the harness counted and how long the soak took. */
  soak(arrivals: NonNullable<Plan['arrivals']>, watch?: (status: SoakStatus) => void): Promise<SoakFigures>;
}

export interface SoakFigures {
  submits: number;
  perSecond: number;
  ledger: string;
}

/** One worker, pool 10, two-row transactions: what the throughput ratio is defined on. */
export function benchPlan(arrivals: Plan['arrivals'], nonce: string): Plan {
  const raw = {
    name: 'bench',
    duration: '168h',
    workers: 1,
    sessions: { count: 32, every: '1s' },
    server: { appSlots: 32 },
    candidates: { pool: { pool: 'pg-pool', app: { onPoolError: 'listen', onClientError: 'listen' } } },
  };
  const { scenario } = validateScenario(raw, registries);
  const world = { host: 'embedded', engine: 'postgres', path: null } as const;
  const { plan } = planTrial(
    { scenario: scenario!, candidate: 'pool', seed: 1, speed: 1, ...world, nonce },
    registries,
  );
  return { ...plan, arrivals };
}

/**
 * Neither vacuum nor checkpoints while we measure: they come every minute or so, as long as a round, and
 * would fall on the same side each time.
 */
const quietServer = { autovacuum: 'off', checkpoint_timeout: '1h', max_wal_size: '16GB' };

/** Opens one world for all rounds; both sides use its proxy and its server. */
export async function withBench(act: (bench: Bench) => Promise<void>, appSlots = 32): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'poolsoak-bench-'));
  const guardian = await openGuardian({ clock: realClock });
  const events = {
    serverLog: () => {},
    kill: () => {},
    failed: (error: Error) => process.stderr.write(`failed: ${error.message}\n`),
    lost: (part: string) => process.stderr.write(`lost: ${part}\n`),
  };
  try {
    const world = await openWorld({
      appSlots,
      settings: quietServer,
      trial: 'bench',
      seed: 1,
      clock: realClock,
      guardian,
      events,
    });
    try {
      await act({ world, guardian, folder, soak: soakIn(world, guardian, folder) });
    } finally {
      await world.close();
    }
  } finally {
    await guardian.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function soakIn(world: World, guardian: Guardian, folder: string): Bench['soak'] {
  // The rounds share the proxy, so the end of one must not cut it off.
  const shared: World = { ...world, proxy: { ...world.proxy, cut: async () => {} } };
  const loopDelayMs = watchLoop();
  let round = 0;
  return async (arrivals, watch = () => {}) => {
    round += 1;
    const plan = benchPlan(arrivals, `round ${round}`);
    const stop = new AbortController();
    const { clock, signal } = startTrial({ clock: realClock, stop });
    const ledger = new Ledger({
      path: join(folder, `${round}.ndjson`),
      nowMs: clock.nowMs,
      secrets: world.secrets,
    });
    let status: SoakStatus | null = null;
    let endedMs = 0;
    await soak({
      plan,
      world: shared,
      ledger,
      clock,
      events: { recordIn: () => {} },
      faults: registries.faults,
      spawn: processWorkers(guardian),
      versions: {},
      signal,
      loopDelayMs,
      watch: given => {
        status = given;
        watch(given);
      },
      entered: phase => {
        if (phase === 'close') endedMs = clock.nowMs();
      },
    });
    ledger.close(true);
    const { acked } = status!.counts;
    return { submits: acked, perSecond: (acked / endedMs) * 1000, ledger: ledger.path };
  };
}
