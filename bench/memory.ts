import { realClock } from '../src/clock.ts';
import { median, say } from './figures.ts';
import { withBench } from './world.ts';

const forMs = 5 * 60_000;
const submitsMin = 120_000;
const growthMaxMb = 20;

/** Harness RSS over five minutes of as many submits as go: the last minute's median less the second's. */
export async function memory(): Promise<boolean> {
  const samples: { atMs: number; mb: number }[] = [];
  let submits = 0;
  await withBench(async bench => {
    const startMs = realClock.nowMs();
    const stop = realClock.every(1000, () =>
      samples.push({ atMs: realClock.nowMs() - startMs, mb: process.memoryUsage.rss() / 1e6 }),
    );
    const figures = await bench.soak({ inFlight: 32, count: Number.MAX_SAFE_INTEGER, forMs });
    stop();
    submits = figures.submits;
  });
  const minute = (n: number) =>
    median(samples.filter(({ atMs }) => atMs >= n * 60_000 && atMs < (n + 1) * 60_000).map(({ mb }) => mb));
  const growthMb = minute(4) - minute(1);
  say(
    `memory: ${submits} submits in 5 minutes, harness RSS ${minute(1).toFixed(1)} MB in minute 2, ` +
      `${minute(4).toFixed(1)} MB in minute 5: ${growthMb.toFixed(1)} MB more (limit ${growthMaxMb}; at least ${submitsMin} submits)`,
  );
  return growthMb <= growthMaxMb && submits >= submitsMin;
}
