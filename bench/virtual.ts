import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { realClock } from '../src/clock.ts';
import type { RunFacts } from '../src/report.ts';
import { VirtualLoop } from '../src/sim/loop.ts';
import { say } from './figures.ts';

const hours = 8;
/** Virtual seconds per real second of the soak, real seconds and MB of the whole process. */
const bars = [
  { sessions: 20, ratio: 25_000, seconds: 2, megabytes: null },
  { sessions: 200, ratio: 4_000, seconds: null, megabytes: null },
  { sessions: 1000, ratio: 800, seconds: null, megabytes: 300 },
];
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A virtual day with pg-pool-tuned, whole processes, beside the bare clock loop with as many sessions that only wait. */
export async function virtual(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'poolsoak-bench-'));
  let met = true;
  try {
    for (const bar of bars) met = (await day(folder, bar)) && met;
  } finally {
    rmSync(folder, { recursive: true });
  }
  return met;
}

async function day(
  folder: string,
  { sessions, ratio, seconds, megabytes }: (typeof bars)[0],
): Promise<boolean> {
  const seen = await soaked(folder, sessions);
  const bare = await bareLoop(sessions);
  say(
    `virtual day, ${sessions} sessions: ${seen.ratio.toFixed(0)} virtual s per real s (limit ${ratio}; ` +
      `1/${(bare / seen.ratio).toFixed(0)} of the bare clock loop's ${bare.toFixed(0)}); whole process ` +
      `${seen.seconds.toFixed(2)} s${seconds ? ` (limit ${seconds})` : ''}, ${seen.megabytes.toFixed(0)} MB` +
      `${megabytes ? ` (limit ${megabytes})` : ''}; ${seen.verdict}`,
  );
  const within = (value: number, limit: number | null) => limit === null || value <= limit;
  return seen.ratio >= ratio && within(seen.seconds, seconds) && within(seen.megabytes, megabytes);
}

async function soaked(folder: string, sessions: number) {
  const out = join(folder, `day-${sessions}`);
  const scenario = sessions === 20 ? 'fgscan-day' : scenarioOf(folder, sessions);
  const args = ['run', scenario, '--virtual', '--candidates', 'pg-pool-tuned', '--exit-zero', '--out', out];
  const startMs = realClock.nowMs();
  const child = spawn(process.execPath, [here('../src/cli.js'), ...args], { stdio: 'ignore' });
  let peakBytes = 0;
  const stop = realClock.every(20, () => {
    peakBytes = peakOf(child.pid!) ?? peakBytes;
  });
  await new Promise(resolve => child.once('close', resolve));
  stop();
  const seconds = (realClock.nowMs() - startMs) / 1000;
  const { ratio } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as RunFacts;
  const { run } = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
  return { ratio, seconds, megabytes: peakBytes / 1e6, verdict: run.verdict as string };
}

/** The same day with more sessions. */
function scenarioOf(folder: string, sessions: number): string {
  const path = join(folder, `fgscan-day-${sessions}.mjs`);
  const day = pathToFileURL(here('../scenarios/fgscan-day.js'));
  const over = `name: 'fgscan-day-${sessions}', sessions: { ...day.sessions, count: ${sessions} }`;
  writeFileSync(path, `import day from '${day}';\nexport default { ...day, ${over} };\n`);
  return path;
}

/** The most memory a process ever had; null where the system does not say. */
function peakOf(pid: number): number | null {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes ? Number(kilobytes) * 1024 : null;
  } catch {
    return null;
  }
}

/** Virtual s per real s when nothing happens but sessions that wait 30 s at a time. */
async function bareLoop(sessions: number): Promise<number> {
  const loop = new VirtualLoop();
  const clock = loop.clockOf(loop.root);
  const startMs = realClock.nowMs();
  await loop.run(async () => {
    const session = async (n: number) => {
      await clock.sleepMs((30_000 * n) / sessions);
      while (loop.nowMs < hours * 3_600_000) await clock.sleepMs(30_000);
    };
    await Promise.all(Array.from({ length: sessions }, (_, n) => session(n)));
  });
  return (hours * 3_600_000) / (realClock.nowMs() - startMs);
}
