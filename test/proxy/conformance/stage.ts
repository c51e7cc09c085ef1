import { randomUUID } from 'node:crypto';
import { type AddressInfo, connect, createServer } from 'node:net';
import { realClock } from '../../../src/clock.ts';
import { driver, Peer, portIn, type ToxicUse, until } from '../helpers.ts';
import type { RunningServer } from './servers.ts';

export type Stream = 'upstream' | 'downstream';
export const streams: Stream[] = ['upstream', 'downstream'];

export interface Connection {
  client: Peer;
  server: Peer;
  /** Who sends into a stream, and who hears it. */
  from(stream: Stream): Peer;
  to(stream: Stream): Peer;
}

type Use = Omit<ToxicUse, 'type' | 'attributes'> & { select?: Record<string, number> };

/** A proxy of its own on a server that others use, too, in front of an upstream that records. */
export class Stage {
  readonly server: RunningServer;
  readonly name = `p-${randomUUID()}`;
  readonly peers: Peer[] = [];
  readonly #call: ReturnType<typeof driver>['call'];
  readonly #closers: (() => void)[] = [];
  #shut = () => {};
  port = 0;

  constructor(server: RunningServer) {
    this.server = server;
    this.#call = driver(server.url).call;
  }

  /** In front of an upstream elsewhere, or of one that records. */
  async open(upstream?: string): Promise<void> {
    const { listen } = await this.call('POST', '/proxies', {
      name: this.name,
      listen: '127.0.0.1:0',
      upstream: upstream ?? (await this.#record()),
    });
    this.port = portIn(listen as string);
  }

  async #record(): Promise<string> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
      this.peers.push(new Peer(socket));
      this.#closers.push(() => void socket.destroy());
    });
    this.#shut = () => void listener.close();
    this.#closers.push(this.#shut);
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  async remove(): Promise<void> {
    await this.#call('DELETE', `/proxies/${this.name}`);
  }

  async close(): Promise<void> {
    for (const close of this.#closers) close();
    await this.remove();
  }

  /** The upstream refuses from now on; what is open stays. */
  shut(): void {
    this.#shut();
  }

  /** An answer of 2xx, or an error. */
  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const { status, text } = await this.#call(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  }

  /** Adds one and answers how to change and remove it. */
  async add(type: string, attributes: Record<string, number | string> = {}, more: Use = {}) {
    const { name } = await this.call('POST', `/proxies/${this.name}/toxics`, { type, attributes, ...more });
    const path = `/proxies/${this.name}/toxics/${name}`;
    return {
      update: (changed: { attributes?: object; toxicity?: number }) => this.call('PATCH', path, changed),
      remove: () => this.call('DELETE', path),
    };
  }

  change = (body: object) => this.call('PATCH', `/proxies/${this.name}`, body);

  async dial(): Promise<Peer> {
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const peer = new Peer(socket);
    this.#closers.push(() => void socket.destroy());
    await until(`connection to ${this.port}`, () => !socket.connecting);
    return peer;
  }

  /** A connection that the upstream has surely accepted. */
  async connection(): Promise<Connection> {
    const before = this.peers.length;
    const client = await this.dial();
    await until('the connection at the upstream', () => this.peers.length > before);
    const server = this.peers[before]!;
    return {
      client,
      server,
      from: stream => (stream === 'upstream' ? client : server),
      to: stream => (stream === 'upstream' ? server : client),
    };
  }

  /** One over which both have spoken: it is live. */
  async live(): Promise<Connection> {
    const connection = await this.connection();
    const { client, server } = connection;
    client.socket.write('hi');
    await server.has('hi');
    server.socket.write('yo');
    await client.has('yo');
    for (const peer of [client, server]) peer.received = Buffer.alloc(0);
    return connection;
  }
}

/** Long enough that what was going to happen has happened, mostly: for claims that nothing does. */
export const settled = (ms = 60): Promise<void> => realClock.sleepMs(ms);

/** How long the work took, in ms. */
export async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = realClock.nowMs();
  await work();
  return realClock.nowMs() - startMs;
}

export const closed = async (...peers: Peer[]): Promise<void> => {
  for (const peer of peers)
    await until(
      () => `an end, saw ${peer.events}`,
      () => peer.events.length > 0,
    );
};

/** It hears the end, or as far as one can tell nothing at all. */
export async function hearsEnd(peer: Peer, wanted: boolean): Promise<void> {
  if (wanted) return peer.saw('end');
  await settled();
  if (peer.events.length > 0) throw new Error(`expected nothing, saw ${peer.events}`);
}

/** Long enough for a busy machine to have delivered what was sent, when nobody can tell that it was. */
export const delivered = (): Promise<void> => settled(300);
