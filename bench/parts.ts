import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bench } from 'tinybench';
import { Ledger } from '../src/ledger/ledger.ts';
import type { Fact } from '../src/ledger/record.ts';
import { seeded } from '../src/random.ts';
import { readMessage } from '../src/soak/validate.ts';
import { arrivals } from '../src/workload/arrivals.ts';
import { say } from './figures.ts';
import { benchPlan } from './world.ts';

const attempt = {
  n: 0,
  conn: 7,
  startedAt: 1234.567,
  acquiredAt: 1234.789,
  commitSent: true,
  answered: true,
  tag: 'COMMIT',
  step: 'commit',
  outcome: 'acked',
  endedAt: 1236.123,
  error: null,
} as const;
const settled = {
  k: 'settled',
  id: 17,
  at: 1236.4,
  outcome: 'acked',
  attempts: [attempt],
  releaseError: null,
};
const fact = { ...settled, worker: 1, life: 1, atMs: 1236.4, open: false } as unknown as Fact;

/** In-process parts, each beside the least that anybody would have to pay for the same. */
export async function parts(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'poolsoak-bench-'));
  const bench = new Bench({ time: 1000, warmupTime: 300 });
  const ledger = new Ledger({
    path: join(folder, 'x.ndjson'),
    nowMs: () => 1234.5,
    secrets: ['9b1c4f0e9b1c4f0e'],
  });
  const line = JSON.stringify(settled);
  const { workload } = benchPlan(null, 'parts');
  bench
    .add('JSON.stringify of a settled fact', () => JSON.stringify(fact))
    .add('ledger.append of it', () => ledger.append(fact))
    .add('JSON.parse of a worker message', () => JSON.parse(line))
    .add('the same, validated', () => readMessage(JSON.parse(line)))
    .add('1,000 random numbers', () => {
      const random = seeded(1);
      for (let n = 0; n < 1000; n += 1) random.next();
    })
    .add('1,000 arrivals', () => {
      let left = 1000;
      for (const _ of arrivals(workload, Number.POSITIVE_INFINITY, seeded(1))) if (--left === 0) break;
    });
  await bench.run();
  ledger.close(true);
  rmSync(folder, { recursive: true, force: true });
  const us = bench.tasks.map(({ result }) => ('latency' in result ? result.latency.mean * 1000 : Number.NaN));
  const pairs = [
    [1, 0],
    [3, 2],
    [5, 4],
  ] as const;
  for (const [a, b] of pairs)
    say(
      `${bench.tasks[a]!.name}: ${us[a]!.toFixed(2)} us, ${(us[a]! / us[b]!).toFixed(2)} times ${bench.tasks[b]!.name}`,
    );
  return us.every(Number.isFinite);
}
