import { realClock } from '../clock.ts';
import { type Cleaned, cleanRun } from './clean.ts';

/**
 * The guardian: outlives the harness by as long as it takes to clean up after it. Its standard input is a
 * pipe from the harness, so that the kernel tells it of any death; the journal tells it what there is.
 */
const journal = process.argv[2]!;

// It has a session of its own, so that Ctrl-C does not reach it; this is for those who mean every node process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

/** To the harness, when there still is one. */
function tell(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function clean(): Promise<void> {
  const cleaned: Cleaned = await cleanRun(journal, realClock).catch(error => ({
    processes: 0,
    folders: 0,
    others: 0,
    left: [error instanceof Error ? error.message : String(error)],
  }));
  tell({ ev: 'cleaned', ...cleaned });
  process.exitCode = cleaned.left.length === 0 ? 0 : 1;
}

let cleaning = false;
function cleanOnce(): void {
  if (!cleaning) void clean();
  cleaning = true;
}

process.stdout.on('error', () => {});
process.stdin.on('error', cleanOnce).on('end', cleanOnce).on('close', cleanOnce).resume();
tell({ ev: 'ready' });
