import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { type Clock, waitUntil } from '../../../src/clock.ts';

/** Two stages for the same plays: sockets of the kernel through the real fault proxy, and the virtual network. */

export interface Kill {
  toxic: string;
  clientPort: number;
  how: string;
  idleMs: number;
}

/** What one end was told, chunks in a row as one 'data'. */
export class Heard {
  readonly events: string[] = [];
  chunks: Buffer[] = [];

  note(event: string): void {
    if (event !== 'data' || this.events.at(-1) !== 'data') this.events.push(event);
  }

  data(chunk: Buffer): void {
    this.note('data');
    this.chunks.push(chunk);
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  forget(): void {
    this.events.length = 0;
    this.chunks = [];
  }
}

export interface ServerScript {
  heard: Heard;
  clientPort(): number;
  send(data: string | Buffer): void;
  end(): void;
  close(): void;
  reset(): void;
  pause(): void;
  resume(): void;
}

type AnySocket = Pick<
  Socket,
  | 'write'
  | 'end'
  | 'destroy'
  | 'resetAndDestroy'
  | 'setTimeout'
  | 'pause'
  | 'resume'
  | 'localPort'
  | 'destroyed'
> &
  EventEmitter;

export interface Client {
  heard: Heard;
  socket: AnySocket & Socket;
}

export interface Stage {
  servers: ServerScript[];
  kills: Kill[];
  dial(options?: { allowHalfOpen?: boolean; port?: number; host?: string }): Client;
  addToxic(name: string, type: string, attributes: Record<string, unknown>, stream?: string): void;
  removeToxic(name: string): void;
  cut(): void;
  /** The server takes no new connections. */
  shut(): Promise<void>;
  until(what: string, met: () => boolean): Promise<void>;
  /** All that was sent before has surely been looked at: for claims that nothing happens. */
  settled(): Promise<void>;
  nowMs(): number;
  sleepMs(ms: number): Promise<void>;
}

const quiet = ['connect', 'ready', 'end', 'timeout', 'drain', 'finish', 'lookup'] as const;

export function clientOf(socket: Socket): Client {
  const heard = new Heard();
  for (const event of quiet) socket.on(event, () => heard.note(event));
  socket.on('data', chunk => heard.data(chunk));
  socket.on('error', (error: NodeJS.ErrnoException) =>
    heard.note(`error: ${error.message} ${error.errno ?? ''}`),
  );
  socket.on('close', hadError => heard.note(`close ${hadError}`));
  return { heard, socket };
}

/** A link over which both sides have spoken, their records empty. */
export async function linked(
  stage: Stage,
  options: { allowHalfOpen?: boolean } = {},
): Promise<{ client: Client; server: ServerScript }> {
  const client = stage.dial(options);
  client.socket.write('hi');
  // Not simply the next one: a mirror dials, too.
  const greeted = () => stage.servers.find(({ heard }) => heard.text === 'hi');
  await stage.until('the greeting at the server', () => greeted() !== undefined);
  const server = greeted()!;
  server.send('yo');
  await stage.until('the answer', () => client.heard.text === 'yo');
  client.heard.forget();
  server.heard.forget();
  return { client, server };
}

export const limitMs = 8000;

export async function untilBy(
  clock: Clock,
  everyMs: number,
  what: string,
  met: () => boolean,
): Promise<void> {
  if ((await waitUntil(clock, met, { everyMs, limitMs })) !== 'met')
    throw new Error(`not within ${limitMs} ms: ${what}`);
}
