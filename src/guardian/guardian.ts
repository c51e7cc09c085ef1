import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, within } from '../clock.ts';
import { unguessable } from '../random.ts';
import { builtFile } from './built.ts';
import { type Cleaned, cleanRun, cookieName } from './clean.ts';
import { createJournal, type Journal, makeRunsFolder, runsFolder } from './journal.ts';
import { processFact } from './processes.ts';

export interface SpawnOptions {
  /** The whole environment, the cookie apart; ours unless given. */
  env?: NodeJS.ProcessEnv;
  stdio: StdioOptions;
  uid?: number;
  gid?: number;
  cwd?: string;
}

/** Keeps what must not outlive this run, and outlives it for that. */
export interface Guardian {
  cookie: string;
  /** This run's temp folder. Other users can pass through it, not list it. */
  folder: string;
  /**
   * Starts a process that ends with the run at the latest, in a session of its own. `what` names it to
   * people. As with node's spawn, a command that cannot be started is an `error` event.
   */
  spawn(what: string, command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** A folder elsewhere to be removed with the run. Call it before making the folder. */
  addFolder(path: string): void;
  /** Proxies to be removed with the run, by how their names begin. Call it before making the first. */
  addProxies(url: string, prefix: string): void;
  /** A table of nftables (`ip`) to be deleted with the run. Call it before making the table. */
  addTable(table: string): void;
  /** Resolves, with what happened, when the guardian process died unasked. */
  lost: Promise<string>;
  /** Ends every process of the run and removes its folders and journal. At most 12 s; rejects with what is left. */
  close(): Promise<void>;
}

const readyLimitMs = 5_000;
const closeLimitMs = 6_000;

interface Process {
  child: ChildProcess;
  ready: Promise<void>;
  exited: Promise<string>;
}

/** Unreferenced: a harness that has nothing left to do shall end, and the guardian then cleans up. */
function startProcess(journal: Journal, cookie: string): Process {
  const child = spawn(process.execPath, [builtFile(import.meta.url, './main.js'), journal.path], {
    detached: true,
    cwd: '/',
    env: { ...process.env, [cookieName]: cookie },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if (child.pid) journal.write({ k: 'guardian', pid: child.pid, start: processFact(child.pid)?.start ?? '' });
  child.stdin!.on('error', () => {});
  const ready = new Promise<void>(resolve => child.stdout!.once('data', () => resolve()));
  const exited = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { child, ready, exited };
}

/** The handles that keep node alive; the types do not say that pipes have them. */
function handles(child: ChildProcess): { ref(): void; unref(): void }[] {
  return [child, child.stdin, child.stdout] as unknown as { ref(): void; unref(): void }[];
}

/** The guardian's own work, done here when it cannot. */
async function finish(journal: Journal, clock: Clock): Promise<void> {
  if (!existsSync(journal.path)) return;
  const { left }: Cleaned = await cleanRun(journal.path, clock);
  if (left.length > 0) throw new Error(`could not end or remove: ${left.join(', ')}; try poolsoak clean`);
}

async function closeProcess({ child, exited }: Process, journal: Journal, clock: Clock): Promise<void> {
  for (const handle of handles(child)) handle.ref();
  child.stdin!.end();
  if ((await within(clock, closeLimitMs, exited, null)) === null) child.kill('SIGKILL');
  journal.close();
  await finish(journal, clock);
}

function makeFolders(tmpDir: string | undefined, cookie: string): { journal: Journal; folder: string } {
  const runs = runsFolder(tmpDir);
  makeRunsFolder(runs);
  const journal = createJournal(runs, cookie);
  const folder = join(runs, cookie);
  makeRunsFolder(folder);
  return { journal, folder };
}

/** Starts the guardian process; from then on nothing this run spawns through it outlives the run. */
export async function openGuardian({ clock, tmpDir }: { clock: Clock; tmpDir?: string }): Promise<Guardian> {
  const cookie = unguessable(16);
  const { journal, folder } = makeFolders(tmpDir, cookie);
  const own = startProcess(journal, cookie);
  let asked = false;
  const lost = new Promise<string>(resolve => {
    own.exited.then(how => {
      if (!asked) resolve(`the guardian process ended (${how})`);
    });
  });
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    asked = true;
    closed ??= closeProcess(own, journal, clock);
    return closed;
  };
  const up = await within(
    clock,
    readyLimitMs,
    Promise.race([own.ready.then(() => ''), own.exited]),
    'no answer in 5 s',
  );
  if (up !== '') {
    await close();
    throw new Error(`the guardian process did not start: ${up}`);
  }
  for (const handle of handles(own.child)) handle.unref();
  return {
    cookie,
    folder,
    spawn: spawner(journal, cookie, () => asked),
    addFolder: path => journal.write({ k: 'folder', path }),
    addProxies: (url, prefix) => journal.write({ k: 'toxiproxy', url, prefix }),
    addTable: table => journal.write({ k: 'nft', table }),
    lost,
    close,
  };
}

function spawner(journal: Journal, cookie: string, closing: () => boolean): Guardian['spawn'] {
  return (what, command, args, options) => {
    if (closing()) throw new Error(`${what} cannot be started: the run is ending`);
    journal.write({ k: 'spawning', what, command });
    const env = { ...(options.env ?? process.env), [cookieName]: cookie };
    const child = spawn(command, args, { ...options, env, detached: true });
    if (child.pid)
      journal.write({ k: 'spawned', what, pid: child.pid, start: processFact(child.pid)?.start ?? '' });
    return child;
  };
}
