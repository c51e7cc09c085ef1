import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Clock, within } from '../../clock.ts';
import type { Guardian } from '../../guardian/guardian.ts';

/** A process of ours that says what happens, one JSON object a line, on descriptor 3. */
export interface ProxyChild {
  /** A line on its standard input. */
  tell(message: object): void;
  /** How it ended, with the end of what it said on standard error. */
  exited: Promise<string>;
  /** Its end is no loss from now on. The parent's pipe is its sign to leave; it has nothing to finish. */
  close(): Promise<void>;
}

export interface StartChild {
  clock: Clock;
  guardian: Guardian;
  /** Its name for people. */
  what: string;
  /** The compiled file, and its arguments. */
  args: readonly string[];
  event(event: { ev: string }): void;
  lost(detail: string): void;
}

const startLimitMs = 10_000;
const leaveLimitMs = 1_000;
const errorTail = 2_000;

function readEvents(child: ChildProcess, each: (event: { ev: string }) => void): void {
  const lines = createInterface({ input: child.stdio[3] as Readable });
  lines.on('line', line => {
    let event: { ev: string };
    try {
      event = JSON.parse(line) as { ev: string };
    } catch {
      return; // Half a line of a process that is being killed.
    }
    each(event);
  });
  lines.on('error', () => {});
}

function watchExit(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr!.on('data', chunk => {
    said = (said + chunk).slice(-errorTail);
  });
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(`${signal ?? `exit code ${code}`}${said && `: ${said.trim()}`}`),
    );
  });
}

async function end(child: ChildProcess, what: string, exited: Promise<string>, clock: Clock): Promise<void> {
  child.stdin!.end();
  if ((await within(clock, leaveLimitMs, exited, null)) !== null) return;
  child.kill('SIGKILL');
  if ((await within(clock, leaveLimitMs, exited, null)) === null)
    throw new Error(`the ${what} (process ${child.pid}) did not end`);
}

/** Resolves with what it said first (`listening`), or rejects and leaves nothing. */
export async function startChild<T extends { ev: 'listening' }>(
  options: StartChild,
): Promise<ProxyChild & { first: T }> {
  const { clock, guardian, what, args, event, lost } = options;
  const stdio = ['pipe', 'ignore', 'pipe', 'pipe'] as const;
  const child = guardian.spawn(what, process.execPath, args, { stdio: [...stdio], cwd: '/' });
  child.stdin!.on('error', () => {});
  const exited = watchExit(child);
  let asked = false;
  const close = (): Promise<void> => {
    asked = true;
    return end(child, what, exited, clock);
  };
  const heard = new Promise<T>(resolve => {
    readEvents(child, each => (each.ev === 'listening' ? resolve(each as T) : event(each)));
  });
  const failed = exited.then(how => `ended (${how})`);
  const first = await within(clock, startLimitMs, Promise.race([heard, failed]), 'did not answer');
  if (typeof first === 'string') {
    await close().catch(() => {});
    throw new Error(`the ${what} ${first}; limit ${startLimitMs} ms`);
  }
  void exited.then(how => {
    if (!asked) lost(`the ${what} ended (${how})`);
  });
  return {
    first,
    exited,
    close,
    tell: message => void child.stdin!.write(`${JSON.stringify(message)}\n`),
  };
}
