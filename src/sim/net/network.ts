import type { Random } from '../../random.ts';
import type { VirtualLoop } from '../loop.ts';
import type { Accept, NetworkModel, PathKill, PathKind } from './contract.ts';
import { nodeError, socketError } from './errors.ts';
import { type ClientSide, Link, type LinkHost, type Listener } from './link.ts';
import { Mirror } from './mirror.ts';
import type { Path } from './packet.ts';
import { type InstalledToxic, toxicFrom } from './toxics.ts';

export interface NetworkOptions {
  loop: VirtualLoop;
  model: NetworkModel;
  random: Random;
  kind: PathKind;
  killed(kill: PathKill): void;
}

/** net.ipv4.ip_local_port_range of Linux. */
const clientPorts = { first: 32_768, last: 60_999 };

/** Listeners, the connections to them and the toxics on those. All randomness is forked per connection and direction. */
export class Network {
  readonly loop: VirtualLoop;
  readonly model: NetworkModel;
  readonly #random: Random;
  readonly #host: LinkHost;
  readonly #path: Path;
  readonly #listeners = new Map<number, Listener>();
  /** In the order they were accepted. */
  readonly #links = new Set<Link>();
  readonly #ports = new Set<number>();
  readonly #toxics = new Map<string, InstalledToxic>();
  readonly #mirror: Mirror;
  #dialed = 0;
  #accepted = 0;
  #nextPort = clientPorts.first;
  #isCut = false;

  constructor({ loop, model, random, kind, killed }: NetworkOptions) {
    this.loop = loop;
    this.model = model;
    this.#random = random;
    this.#mirror = new Mirror(loop, model.redialMs, port => !this.#isCut && this.#listeners.has(port));
    this.#path = { loop, kind, model, delays: { upstream: [], downstream: [] } };
    this.#host = {
      path: this.#path,
      listener: port => (this.#isCut ? null : (this.#listeners.get(port) ?? null)),
      accepts: port =>
        !this.#isCut && (kind === 'packet' ? this.#listeners.has(port) : this.#mirror.accepts(port)),
      upstreamRefused: port => this.#mirror.refused(port),
      upstreamEnded: port => this.#mirror.suspect(port),
      accepted: link => {
        this.#links.add(link);
        this.#accepted += 1;
        return this.#accepted;
      },
      toxics: () => this.#toxics.values(),
      killed,
      closed: link => {
        this.#links.delete(link);
        this.#ports.delete(link.clientPort);
      },
    };
  }

  /** What `accept` returns hears on behalf of the actor that calls this; listener and connections end with it. */
  listen(port: number, accept: Accept): { close(): void } {
    if (this.#listeners.has(port)) throw socketError('listen', 'EADDRINUSE', '127.0.0.1', port);
    const { actor } = this.loop;
    const listener: Listener = { actor, accept };
    const close = () => {
      actor.belongings.delete(belonging);
      if (this.#listeners.get(port) === listener) this.#listeners.delete(port);
    };
    const belonging = { ended: close };
    actor.belongings.add(belonging);
    this.#listeners.set(port, listener);
    this.#mirror.listening(port);
    return { close };
  }

  /** One SYN from the next free client port; `client` is told what came of it. Throws when no port is free. */
  connect(port: number, client: ClientSide): Link {
    const clientPort = this.#freePort(port);
    this.#dialed += 1;
    this.#ports.add(clientPort);
    return new Link(this.#host, port, clientPort, client, this.#random.fork('connection', this.#dialed));
  }

  #freePort(port: number): number {
    const { first, last } = clientPorts;
    const count = last - first + 1;
    if (this.#ports.size >= count) {
      const error = socketError('connect', 'EADDRNOTAVAIL', '127.0.0.1', port);
      error.message += `: all ${count} client ports, ${first} to ${last}, are in use`;
      throw error;
    }
    for (;;) {
      const found = this.#nextPort;
      this.#nextPort = found === last ? first : found + 1;
      if (!this.#ports.has(found)) return found;
    }
  }

  /** By the names and attributes of the fault proxy. Holds for live connections at once. */
  addToxic(name: string, type: string, attributes: Record<string, unknown>, stream = 'downstream'): void {
    if (this.#toxics.has(name)) throw nodeError('TOXIC_EXISTS', `toxic ${name} exists already`);
    const toxic = toxicFrom(name, type, attributes, stream);
    const { delay, direction } = toxic;
    this.#toxics.set(name, toxic);
    if (delay) this.#path.delays[direction].push(delay);
    for (const link of this.#links) {
      if (delay) (direction === 'upstream' ? link.up : link.down).delayAdded(delay);
      link.install(toxic);
    }
  }

  removeToxic(name: string): void {
    const toxic = this.#toxics.get(name);
    if (toxic === undefined) throw nodeError('TOXIC_NOT_FOUND', `toxic ${name} not found`);
    const { delay, direction } = toxic;
    const delays = this.#path.delays[direction];
    this.#toxics.delete(name);
    if (delay) delays.splice(delays.indexOf(delay), 1);
    for (const link of this.#links) {
      if (delay) (direction === 'upstream' ? link.up : link.down).delayRemoved();
      link.uninstall(toxic);
    }
  }

  /** Ends every link at once, dropped ones too, with what they hold: FIN to both ends. Refuses from now on. */
  cut(): void {
    this.#isCut = true;
    for (const link of this.#links) link.cut();
  }
}
