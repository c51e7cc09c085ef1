import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { realClock } from '../clock.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { lineBytesMax } from './protocol.ts';

/** The worker's end of the line to the harness. */
export interface Channel {
  send(message: FromWorker): void;
  /** Everything said so far leaves now. */
  flush(): void;
}

export interface Heard {
  message(message: ToWorker): void;
  /** The harness is gone, or said something that is no message. */
  end(why: string): void;
}

/** Lines may wait this long for company, where writing at once would be too dear. */
const gatherMs = 5;

/**
 * Over file descriptors 3 (in) and 4 (out): stdout belongs to drivers and user code. Writing is
 * synchronous, so that nothing said is lost when the process throws. `settled` leaves in its own turn,
 * unless something left less than 5 ms ago: each write wakes the harness, and at thousands of submits a
 * second one for each costs more than the submit. `at` was stamped before, so waiting changes no time.
 */
export function fdChannel(heard: Heard): Channel {
  let lines: string[] = [];
  let leaving: 'no' | 'soon' | 'now' = 'no';
  let leftAtMs = 0;
  const flush = () => {
    leaving = 'no';
    if (lines.length === 0) return;
    const text = Buffer.from(lines.join(''), 'utf8');
    lines = [];
    leftAtMs = realClock.nowMs();
    writeAll(4, text, () => heard.end('the harness does not listen any more'));
  };
  const leave = (urgent: boolean) => {
    const now = urgent && leaving !== 'now' && realClock.nowMs() - leftAtMs >= gatherMs;
    if (now) setImmediate(flush);
    else if (leaving === 'no') realClock.after(gatherMs, flush);
    if (now) leaving = 'now';
    else if (leaving === 'no') leaving = 'soon';
  };
  listen(3, heard);
  return {
    send(message) {
      lines.push(`${JSON.stringify(message)}\n`);
      leave(message.k !== 'conn');
    },
    flush,
  };
}

function writeAll(fd: number, text: Buffer, failed: () => void): void {
  for (let done = 0; done < text.length; ) {
    try {
      done += writeSync(fd, text, done);
    } catch (error) {
      // A full pipe whose descriptor does not block: the harness is reading, so try again.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return failed();
    }
  }
}

function listen(fd: number, heard: Heard): void {
  const socket = new Socket({ fd, readable: true, writable: false });
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineBytesMax) heard.end(`a line over ${lineBytesMax} bytes`);
    for (const line of lines) hear(line, heard);
  });
  socket.on('error', error => heard.end(error.message));
  socket.on('close', () => heard.end('end of input'));
}

function hear(line: string, heard: Heard): void {
  let message: ToWorker;
  try {
    message = JSON.parse(line);
  } catch {
    return heard.end(`not a message: ${line.slice(0, 80)}`);
  }
  heard.message(message);
}
