import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pidSpace, processFact } from './processes.ts';

/** A process, so that another one with the same pid is not mistaken for it. */
export interface ProcessId {
  pid: number;
  start: string;
}

/**
 * What a run leaves for whoever has to clean up after it. Written before the deed where it must not be
 * missed (`spawning`, `folder`, `toxiproxy`, `nft`), after it where the facts come later (`spawned`).
 */
export type JournalEntry =
  | { k: 'run'; cookie: string; harness: ProcessId; space: { boot: string; namespace: string } }
  | { k: 'guardian'; pid: number; start: string }
  | { k: 'folder'; path: string }
  /** Proxies on somebody's Toxiproxy whose names begin so. */
  | { k: 'toxiproxy'; url: string; prefix: string }
  /** A table of the kernel's firewall. */
  | { k: 'nft'; table: string }
  | { k: 'spawning'; what: string; command: string }
  | { k: 'spawned'; what: string; pid: number; start: string };

export interface JournalFile {
  path: string;
  cookie: string;
  /** Wall clock, epoch ms. */
  changedMs: number;
  /** Whole entries only: a killed writer may leave half a line. */
  entries: JournalEntry[];
}

export interface Journal {
  path: string;
  write(entry: JournalEntry): void;
  close(): void;
}

const uid = (): number => process.getuid?.() ?? -1;

/** `<tmpdir>/poolsoak-<uid>`: the journals and folders of all runs of this user. */
export const runsFolder = (tmp: string = tmpdir()): string => join(tmp, `poolsoak-${uid()}`);

/** A name in a shared temp folder can be anybody's: use it only when it is a folder that we alone write. */
function checkOwned(path: string): void {
  const stat = lstatSync(path);
  const bad = !stat.isDirectory()
    ? 'is not a folder'
    : stat.uid !== uid()
      ? `belongs to user ${stat.uid}`
      : stat.mode & 0o022
        ? `can be written by others (mode ${(stat.mode & 0o777).toString(8)})`
        : null;
  if (bad) throw new Error(`${path} ${bad}: remove it, or set TMPDIR to a folder of your own`);
}

/** Other users may pass through (a server of root's runs as somebody else), not list or write. */
export function makeRunsFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o711, recursive: false });
    // mkdir's mode is cut by the umask.
    chmodSync(path, 0o711);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') {
      throw new Error(`cannot make ${path} (${code}): set TMPDIR to a folder that can be written`, {
        cause: error,
      });
    }
  }
  checkOwned(path);
}

export function createJournal(folder: string, cookie: string): Journal {
  const path = join(folder, `${cookie}.ndjson`);
  const fd = openSync(path, 'wx', 0o600);
  let open = true;
  const write = (entry: JournalEntry): void => {
    if (open) writeSync(fd, `${JSON.stringify(entry)}\n`);
  };
  const harness = { pid: process.pid, start: processFact(process.pid)?.start ?? '' };
  write({ k: 'run', cookie, harness, space: pidSpace() });
  return {
    path,
    write,
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function parseLine(line: string): JournalEntry[] {
  try {
    const entry = JSON.parse(line) as JournalEntry;
    return typeof entry === 'object' && entry !== null && typeof entry.k === 'string' ? [entry] : [];
  } catch {
    return [];
  }
}

export function readJournal(path: string): JournalFile {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const cookie = path
    .split('/')
    .at(-1)!
    .replace(/\.ndjson$/, '');
  return { path, cookie, changedMs: statSync(path).mtimeMs, entries: lines.flatMap(parseLine) };
}

/** The journals of all runs that ended badly or still go on. */
export function listJournals(folder: string): JournalFile[] {
  let names: string[];
  try {
    checkOwned(folder);
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter(name => /^[0-9a-f]{32}\.ndjson$/.test(name))
    .flatMap(name => {
      try {
        return [readJournal(join(folder, name))];
      } catch {
        return []; // Ended between listing and reading.
      }
    });
}
