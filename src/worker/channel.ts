import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { type Clock, realClock } from '../clock.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { lineBytesMax } from './protocol.ts';

/** The worker's end of the line to the harness. */
export interface Channel {
  /** `soon`: it may wait a few ms for company; everything else leaves in this turn of the event loop. */
  send(message: FromWorker, when?: 'now' | 'soon'): void;
  /** Everything said so far leaves now. */
  flush(): void;
}

export interface Heard {
  message(message: ToWorker): void;
  /** The harness is gone, or said something that is no message. */
  end(why: string): void;
}

/** As long as lines may wait for company. `at` was stamped before, so waiting changes no time. */
const gatherMs = 5;

/**
 * Over file descriptors 3 (in) and 4 (out): stdout belongs to drivers and user code. Writing is
 * synchronous, so that nothing said is lost when the process throws.
 */
export function fdChannel(heard: Heard): Channel {
  listen(3, heard);
  return gathering(realClock, text =>
    writeAll(4, Buffer.from(text, 'utf8'), () => heard.end('the harness does not listen any more')),
  );
}

/** Lines that go out together, each in its turn or a little later. */
export function gathering(clock: Clock, write: (text: string) => void): Channel {
  let lines: string[] = [];
  let leaving: 'no' | 'soon' | 'now' = 'no';
  let stopTimer = () => {};
  const flush = () => {
    leaving = 'no';
    // Left running, it would cut the next wait short, and each hurried line would add another.
    stopTimer();
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    write(text);
  };
  return {
    send(message, when = 'now') {
      lines.push(`${JSON.stringify(message)}\n`);
      if (leaving === 'now' || leaving === when) return;
      if (when === 'now') setImmediate(flush);
      else stopTimer = clock.after(gatherMs, flush);
      leaving = when;
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
