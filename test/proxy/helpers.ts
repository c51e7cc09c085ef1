import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Toxiproxy } from 'toxiproxy-node-client';
import { onTestFinished } from 'vitest';
import { type Clock, realClock, waitUntil } from '../../src/clock.ts';
import type { KillEvent, ProxyEvent } from '../../src/proxy/events.ts';
import { startProxyServer } from '../../src/proxy/server.ts';

/** Waits for a condition; the limit only bounds a test that has failed already. */
export async function until(
  what: string | (() => string),
  met: () => boolean,
  limitMs = 8000,
): Promise<void> {
  const waited = await waitUntil(realClock, met, { everyMs: 2, limitMs });
  if (waited !== 'met')
    throw new Error(`not within ${limitMs} ms: ${typeof what === 'string' ? what : what()}`);
}

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers = new Set<{ dueMs: number; act: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  get pending(): number {
    return this.#timers.size;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { dueMs: this.#nowMs + ms, act };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  sleepMs(ms: number): Promise<void> {
    return new Promise(resolve => void this.after(ms, resolve));
  }

  every(): () => void {
    throw new Error('a polling scan is not wanted here');
  }

  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > end) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.act();
    }
    this.#nowMs = end;
  }
}

/** A socket and all that its owner was told. */
export class Peer {
  readonly socket: Socket;
  readonly events: string[] = [];
  received = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', chunk => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    socket.on('end', () => this.events.push('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => this.events.push(error.code ?? error.message));
    socket.on('close', () => this.events.push('close'));
  }

  get text(): string {
    return this.received.toString();
  }

  has(text: string): Promise<void> {
    return until(
      () => `${JSON.stringify(text)}, has ${JSON.stringify(this.text)}`,
      () => this.text === text,
    );
  }

  saw(event: string): Promise<void> {
    return until(
      () => `${event}, saw ${this.events}`,
      () => this.events.includes(event),
    );
  }
}

export interface Upstream {
  port: number;
  peers: Peer[];
  /** Refuses from now on; what is open stays. */
  shut(): void;
  close(): void;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** A server that only records, half-open so that it answers no FIN by itself. */
export async function upstream(port = 0, onPeer: (peer: Peer) => void = () => {}): Promise<Upstream> {
  const peers: Peer[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    const peer = new Peer(socket);
    peers.push(peer);
    onPeer(peer);
  });
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    for (const { socket } of peers) socket.destroy();
  };
  onTestFinished(close);
  return {
    port: portOf(server),
    peers,
    shut: () => void server.close(),
    close,
  };
}

/** An upstream that sends everything back. */
export const echo = (): Promise<Upstream> =>
  upstream(0, ({ socket }) => socket.on('data', chunk => socket.write(chunk)));

/** A client; half-open, so that an end it sees is not answered. */
export async function dial(port: number): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const peer = new Peer(socket);
  onTestFinished(() => void socket.destroy());
  await until(`connection to ${port}`, () => !socket.connecting);
  return peer;
}

/** What a dial says: 'connected', or the error's code. */
export function tryDial(port: number): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('connect', () => {
      socket.destroy();
      resolve('connected');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

export const portIn = (address: string): number => Number(address.split(':').at(-1));

export interface ToxicUse {
  type: string;
  name?: string;
  stream?: 'upstream' | 'downstream';
  toxicity?: number;
  attributes?: Record<string, unknown>;
}

/** The proxy server in this process, its clients, and what it told. */
export async function proxyServer(clock?: Clock, seed = 'test') {
  const events: ProxyEvent[] = [];
  const emit = (event: ProxyEvent) => void events.push(event);
  const server = await startProxyServer({ host: '127.0.0.1', port: 0, seed, emit, ...(clock && { clock }) });
  onTestFinished(() => server.close());
  return { ...driver(`http://127.0.0.1:${server.port}`), events, kills: () => killsIn(events) };
}

export const killsIn = (events: ProxyEvent[]): KillEvent[] =>
  events.filter((event): event is KillEvent => event.ev === 'kill');

/** The API by the stock client and by hand. */
export function driver(url: string) {
  const client = new Toxiproxy(url);
  return {
    url,
    client,
    async proxy(upstreamPort: number, more: { name?: string; mirror?: boolean } = {}) {
      const body = { name: 'p', listen: '127.0.0.1:0', upstream: `127.0.0.1:${upstreamPort}`, ...more };
      const proxy = await client.createProxy(body);
      return {
        port: portIn(proxy.listen),
        proxy,
        // The client's types know stock toxics only, and ask for every field.
        add: (use: ToxicUse) => proxy.addToxic(use as unknown as Parameters<typeof proxy.addToxic>[0]),
        update: (body: object) => proxy.update(body as Parameters<typeof proxy.update>[0]),
      };
    },
    async call(method: string, path: string, body?: unknown) {
      const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
      const response = await fetch(url + path, { method, ...(text !== undefined && { body: text }) });
      const answer = await response.text();
      return { status: response.status, text: answer, json: () => JSON.parse(answer) };
    },
  };
}

/** A link through the proxy over which both sides have spoken, so that it surely is open. */
export async function linked(port: number, up: Upstream): Promise<{ client: Peer; server: Peer }> {
  const client = await dial(port);
  client.socket.write('hi');
  // Not simply the next one: a mirror dials the upstream, too.
  const greeted = () => up.peers.find(({ text }) => text === 'hi');
  await until('the greeting at the upstream', () => greeted() !== undefined);
  const server = greeted()!;
  server.socket.write('yo');
  await client.has('yo');
  for (const peer of [client, server]) peer.received = Buffer.alloc(0);
  return { client, server };
}

/**
 * All that was sent before has surely been looked at: loopback delivers at once, the proxy lives on this event loop, and
 * each request is several turns of it. For claims that nothing happens.
 */
export async function settled({
  call,
}: {
  call: (method: string, path: string) => Promise<unknown>;
}): Promise<void> {
  for (let i = 0; i < 5; i += 1) await call('GET', '/version');
}
