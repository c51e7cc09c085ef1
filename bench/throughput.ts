import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readLedger } from '../src/ledger/ledger.ts';
import type { BareLoop } from './bare-loop.ts';
import { median, say } from './figures.ts';
import { type Bench, withBench } from './world.ts';

const rounds = 5;
const warmMs = 4000;
const forMs = 8000;
const inFlight = 32;
const limit = 0.85;

/** Submits per second through poolsoak / a bare pg.Pool loop, alternating on one server behind one proxy. */
export async function throughput(): Promise<boolean> {
  const ratios: number[] = [];
  const seen = { bare: [] as number[], poolsoak: [] as number[] };
  await withBench(async bench => {
    for (let round = 0; round <= rounds; round += 1) {
      const bare = await bareLoop(bench, round);
      const perSecond = await throughPoolsoak(bench);
      // The first round warms both up.
      if (round === 0) continue;
      ratios.push(perSecond / bare);
      seen.bare.push(bare);
      seen.poolsoak.push(perSecond);
      say(
        `  round ${round}: bare ${bare.toFixed(0)}/s, poolsoak ${perSecond.toFixed(0)}/s, ratio ${(perSecond / bare).toFixed(3)}`,
      );
    }
  });
  const ratio = median(ratios);
  say(
    `throughput: ${ratio.toFixed(3)} of a bare pg.Pool loop (median of ${rounds}; limit ${limit}); ` +
      `${median(seen.poolsoak).toFixed(0)}/s against ${median(seen.bare).toFixed(0)}/s`,
  );
  return ratio >= limit;
}

async function throughPoolsoak(bench: Bench): Promise<number> {
  const arrivals = { inFlight, count: Number.MAX_SAFE_INTEGER, forMs: warmMs + forMs };
  const { ledger } = await bench.soak(arrivals);
  let acked = 0;
  for (const record of readLedger(ledger))
    if (
      record.k === 'settled' &&
      record.outcome === 'acked' &&
      record.atMs >= warmMs &&
      record.atMs < warmMs + forMs
    )
      acked += 1;
  return (acked / forMs) * 1000;
}

async function bareLoop({ world }: Bench, round: number): Promise<number> {
  const { host, port, user, password, database } = world.endpoint;
  const tables = await world.sideDoor.createTables(`bare${round}`);
  const task: BareLoop = {
    config: { host, port, user, password, database },
    tables,
    inFlight,
    warmMs,
    forMs,
  };
  const script = fileURLToPath(new URL('./bare-loop.js', import.meta.url));
  const env = { ...process.env, POOLSOAK_BENCH: JSON.stringify(task) };
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  await world.sideDoor.endAppSessions();
  return JSON.parse(text).perSecond;
}
