import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What the operating system says of one process. pid and start together name it: pids come again. */
export interface ProcessFact {
  pid: number;
  ppid: number;
  /** Clock ticks since boot on Linux, a date elsewhere: only ever compared. */
  start: string;
  /** A zombie is gone: it holds nothing and only waits to be reaped, which can take init a second. */
  gone: boolean;
  /** The program's name, without its folder. */
  name: string;
}

const isLinux = process.platform === 'linux';

/** Whether asking every process for its environment is cheap enough to do again and again. */
export const scansAll = isLinux;

const psTimeoutMs = 2_000;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** `pid (name) state ppid ...`: the name may hold spaces and parentheses, so split after the last one. */
export function parseStat(text: string): ProcessFact | null {
  const close = text.lastIndexOf(')');
  const open = text.indexOf('(');
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(' ');
  const [state, ppid, start] = [fields[0]!, fields[1], fields[19]];
  if (start === undefined) return null;
  const name = text.slice(open + 1, close);
  return { pid: Number.parseInt(text, 10), ppid: Number(ppid), start, gone: 'ZXx'.includes(state), name };
}

/** One line of `ps -o pid=,ppid=,stat=,lstart=,comm=`; lstart is five words. */
export function parsePs(line: string): ProcessFact | null {
  const words = line.trim().split(/\s+/);
  if (words.length < 9) return null;
  const name = words.slice(8).join(' ').split('/').at(-1)!;
  const gone = words[2]!.startsWith('Z');
  return { pid: Number(words[0]), ppid: Number(words[1]), start: words.slice(3, 8).join(' '), gone, name };
}

const ps = (args: string[]): string =>
  spawnSync('ps', args, {
    encoding: 'latin1',
    timeout: psTimeoutMs,
    env: { PATH: '/bin:/usr/bin', LC_ALL: 'C' },
  }).stdout ?? '';

export function processFact(pid: number): ProcessFact | null {
  if (isLinux) return parseStat(read(`/proc/${pid}/stat`));
  return parsePs(ps(['-p', String(pid), '-o', 'pid=,ppid=,stat=,lstart=,comm=']));
}

export function processTable(): Map<number, ProcessFact> {
  const facts = isLinux
    ? readdirSync('/proc')
        .filter(name => /^\d+$/.test(name))
        .map(name => parseStat(read(`/proc/${name}/stat`)))
    : ps(['-axo', 'pid=,ppid=,stat=,lstart=,comm=']).split('\n').map(parsePs);
  return new Map(facts.filter(fact => fact !== null).map(fact => [fact.pid, fact]));
}

/** Whether the process was started with this variable. False when we may not look: then it is not ours. */
export function startedWith(pid: number, variable: string): boolean {
  if (isLinux) return read(`/proc/${pid}/environ`).split('\0').includes(variable);
  return ps(['eww', '-o', 'command=', '-p', String(pid)])
    .split(/\s+/)
    .includes(variable);
}

export function isAlive({ pid, start }: { pid: number; start: string }): boolean {
  const fact = processFact(pid);
  return fact !== null && fact.start === start && !fact.gone;
}

/** Sends it if the process is still the one meant; a process that has just gone is no error. */
export function signalProcess({ pid, start }: { pid: number; start: string }, signal: NodeJS.Signals): void {
  if (processFact(pid)?.start !== start) return;
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between, or no longer ours.
  }
}

/**
 * Where pids mean something: this boot and this pid namespace. A journal in a shared temp folder may
 * come from another container, whose live processes we cannot see.
 */
export function pidSpace(): { boot: string; namespace: string } {
  if (!isLinux) return { boot: '', namespace: '' };
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not readable in some sandboxes: then only the boot counts.
  }
  return { boot: read('/proc/sys/kernel/random/boot_id').trim(), namespace };
}
