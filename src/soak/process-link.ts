import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { builtFile } from '../guardian/built.ts';
import type { Guardian } from '../guardian/guardian.ts';
import { lineBytesMax, type ToWorker } from '../worker/protocol.ts';
import type { SpawnWorker, WorkerHears, WorkerLink } from './link.ts';

const main = builtFile(import.meta.url, '../worker/main.js');

/** App workers as child processes: fd 3 in, fd 4 out, stdout and stderr as text. */
export function processWorkers(guardian: Guardian): SpawnWorker {
  return (worker, life, hears) => {
    const child = guardian.spawn(`worker-${worker}.${life}`, process.execPath, [main], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    return link(child, hears);
  };
}

function link(child: ChildProcess, hears: WorkerHears): WorkerLink {
  const into = child.stdio[3] as Writable;
  const from = child.stdio[4] as unknown as Readable;
  readLines(from, hears);
  for (const out of [child.stdout!, child.stderr!]) {
    out.setEncoding('utf8');
    out.on('data', text => hears.output(text));
    out.on('error', () => {});
  }
  // A worker that died while we wrote is told by its exit.
  into.on('error', () => {});
  child.on('error', error => hears.exit(`could not be started: ${error.message}`));
  // 'close', not 'exit': what it said last is still in the pipes at 'exit'.
  child.on('close', (code, signal) => hears.exit(signal ? `signal ${signal}` : `exit code ${code}`));
  return {
    send: batched(into),
    end: how => {
      child.kill(how === 'TERM' ? 'SIGTERM' : 'SIGKILL');
    },
  };
}

/** Messages of one turn in one write. */
function batched(into: Writable): (message: ToWorker) => void {
  let lines: string[] = [];
  return message => {
    if (lines.length === 0)
      setImmediate(() => {
        if (into.writable) into.write(lines.join(''));
        lines = [];
      });
    lines.push(`${JSON.stringify(message)}\n`);
  };
}

function readLines(from: Readable, hears: WorkerHears): void {
  let rest = '';
  let tooLong = false;
  from.setEncoding('utf8');
  from.on('error', () => {});
  from.on('data', (chunk: string) => {
    if (tooLong) return;
    const text = rest + chunk;
    const end = text.lastIndexOf('\n');
    rest = text.slice(end + 1);
    if (end >= 0) hearLines(text.slice(0, end), hears);
    if (rest.length <= lineBytesMax) return;
    tooLong = true;
    hears.violation(`a line over ${lineBytesMax} bytes; nothing more is read from this worker`);
  });
}

/** Lines that came together are parsed together, which is cheaper; one bad one, and each is looked at alone. */
function hearLines(text: string, hears: WorkerHears): void {
  const together = parse(`[${text.replaceAll('\n', ',')}]`);
  if (Array.isArray(together) && together.length === linesIn(text)) {
    for (const message of together) hears.message(message);
    return;
  }
  for (const line of text.split('\n')) {
    const message = parse(line);
    if (message === undefined) hears.violation(`not JSON: ${line.slice(0, 200)}`);
    else hears.message(message);
  }
}

function linesIn(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
