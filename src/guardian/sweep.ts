import { type Clock, realClock, wallNow } from '../clock.ts';
import { cleanRun } from './clean.ts';
import { type JournalFile, listJournals, runsFolder } from './journal.ts';
import { isAlive, pidSpace } from './processes.ts';

export interface Swept {
  runs: number;
  processes: number;
  folders: number;
  /** Proxies on a Toxiproxy and firewall tables. */
  others: number;
  /** What would not go, with why. */
  left: string[];
}

/** A journal is made and begun in one breath; one that is still empty after this was cut off. */
const beginLimitMs = 60_000;

/** Whether nobody looks after the run any more. When in doubt: somebody does. */
function isAbandoned({ entries, changedMs }: JournalFile, nowMs: number): boolean {
  const run = entries.find(entry => entry.k === 'run');
  if (!run) return nowMs - changedMs > beginLimitMs;
  const here = pidSpace();
  if (run.space.boot !== here.boot) return true;
  if (run.space.namespace !== here.namespace) return false;
  const guardian = entries.find(entry => entry.k === 'guardian');
  return !isAlive(run.harness) && !(guardian && isAlive(guardian));
}

/** Somebody else may have swept it in the meantime. */
function unlessGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Cleans up after runs whose harness and guardian are both dead. Never touches a live run. */
export async function sweep({
  clock = realClock,
  tmpDir,
}: {
  clock?: Clock;
  tmpDir?: string;
} = {}): Promise<Swept> {
  const swept: Swept = { runs: 0, processes: 0, folders: 0, others: 0, left: [] };
  const nowMs = wallNow().getTime();
  for (const journal of listJournals(runsFolder(tmpDir)).filter(each => isAbandoned(each, nowMs))) {
    const cleaned = await cleanRun(journal.path, clock).catch(unlessGone);
    if (!cleaned) continue;
    swept.runs += 1;
    swept.processes += cleaned.processes;
    swept.folders += cleaned.folders;
    swept.others += cleaned.others;
    swept.left.push(...cleaned.left);
  }
  return swept;
}
