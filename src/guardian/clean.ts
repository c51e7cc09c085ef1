import { existsSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { type JournalFile, type ProcessId, readJournal } from './journal.ts';
import { type ProcessFact, processTable, scansAll, signalProcess, startedWith } from './processes.ts';
import { removeRemains } from './remains.ts';
import { releaseAllSharedMemory } from './shared-memory.ts';

export interface Cleaned {
  processes: number;
  folders: number;
  /** Proxies on a Toxiproxy and firewall tables. */
  others: number;
  /** What would not go: then the journal stays, for the next sweep. */
  left: string[];
}

/** The variable every child of a run is started with, and by which it is known again. */
export const cookieName = 'POOLSOAK_COOKIE';

const askedMs = 1_500;
const processesLimitMs = 4_000;
const pollMs = 20;
const serverNames = ['postgres'];

const keyOf = ({ pid, start }: ProcessId): string => `${pid} ${start}`;

interface Ours extends ProcessFact {
  /** A server's child: it ends with its server. */
  child: boolean;
}

/** Finds the live processes of one run, anew with every call: a server may fork between two looks. */
function finder({ cookie, entries }: JournalFile): { seen: Set<string>; look(): Ours[] } {
  const variable = `${cookieName}=${cookie}`;
  const spawned = new Set(entries.flatMap(entry => (entry.k === 'spawned' ? [keyOf(entry)] : [])));
  const seen = new Set<string>();
  const children = new Set<string>();
  const isOurs = (fact: ProcessFact): boolean =>
    seen.has(keyOf(fact)) ||
    (fact.pid !== process.pid && (scansAll || spawned.has(keyOf(fact))) && startedWith(fact.pid, variable));
  return {
    seen,
    look() {
      const facts = [...processTable().values()].filter(fact => !fact.gone);
      for (const fact of facts.filter(isOurs)) seen.add(keyOf(fact));
      const servers = facts.filter(fact => seen.has(keyOf(fact)) && serverNames.includes(fact.name));
      // PostgreSQL's children write their status over their environment: they are known by their parent.
      for (const child of facts.filter(fact => servers.some(server => server.pid === fact.ppid))) {
        seen.add(keyOf(child));
        children.add(keyOf(child));
      }
      const ours = facts.filter(fact => seen.has(keyOf(fact)));
      return ours.map(fact => ({ ...fact, child: children.has(keyOf(fact)) }));
    },
  };
}

/**
 * Servers are asked first (SIGQUIT, and SIGCONT should they be stopped): killed outright, PostgreSQL leaves
 * shared memory behind that outlives every process. All others hold nothing that outlives them.
 */
function end(fact: Ours, patient: boolean): void {
  if (patient && serverNames.includes(fact.name)) {
    if (!fact.child) signalProcess(fact, 'SIGQUIT');
    signalProcess(fact, 'SIGCONT');
  } else signalProcess(fact, 'SIGKILL');
}

/** Ends every process started with the run's cookie and waits until all are gone, at most 4 s. */
async function endProcesses(journal: JournalFile, clock: Clock): Promise<{ ended: number; left: Ours[] }> {
  const found = finder(journal);
  const startMs = clock.nowMs();
  for (;;) {
    const alive = found.look();
    const tookMs = clock.nowMs() - startMs;
    if (alive.length === 0 || tookMs > processesLimitMs) return { ended: found.seen.size, left: alive };
    for (const fact of alive) end(fact, tookMs < askedMs);
    await clock.sleepMs(pollMs);
  }
}

/** Removing is for ever and the path comes from a file: nothing near the root, whatever the journal says. */
function removable(path: string): boolean {
  return isAbsolute(path) && resolve(path) === path && dirname(dirname(path)) !== dirname(path);
}

function removeFolder(path: string): string[] {
  if (!removable(path)) return [`folder ${path} (not removed: too near the root)`];
  releaseAllSharedMemory(path);
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    return [];
  } catch (error) {
    return [`folder ${path} (${(error as NodeJS.ErrnoException).code})`];
  }
}

function foldersOf(journal: JournalFile): string[] {
  const added = journal.entries.flatMap(entry => (entry.k === 'folder' ? [entry.path] : []));
  const all = new Set([...added.reverse(), join(dirname(journal.path), journal.cookie)]);
  return [...all].filter(path => !removable(path) || existsSync(path));
}

/** Ends what is left of a run: its processes, then what they made, its folders, then its journal. */
export async function cleanRun(path: string, clock: Clock): Promise<Cleaned> {
  const journal = readJournal(path);
  const { ended, left } = await endProcesses(journal, clock);
  const others = await removeRemains(journal.entries);
  const folders = foldersOf(journal);
  const stuck = folders.flatMap(removeFolder);
  const all = [...left.map(fact => `process ${fact.pid} (${fact.name})`), ...others.left, ...stuck];
  if (all.length === 0) rmSync(path, { force: true });
  return {
    processes: ended - left.length,
    folders: folders.length - stuck.length,
    others: others.removed,
    left: all,
  };
}
