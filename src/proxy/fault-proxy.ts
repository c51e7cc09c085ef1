import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { type Address, addressText, parseAddress, resolveAddress } from './address.ts';
import { ApiError, toxicExists, toxicNotFound } from './api-error.ts';
import type { Emit } from './events.ts';
import type { Body } from './fields.ts';
import { type InstalledToxic, toxicChanged, toxicFrom, toxicJson } from './installed-toxic.ts';
import { Link, type LinkHost } from './link.ts';
import { PortListener } from './listener.ts';
import { Mirror } from './mirror.ts';
import { reset } from './sockets.ts';

/** What the API can set of a proxy. */
export interface ProxySettings {
  /** host:port; port 0 becomes the real one. */
  listen: string;
  upstream: string;
  enabled: boolean;
  /** The listener refuses while the upstream does, and resets are passed on as resets. Not in Toxiproxy. */
  mirror: boolean;
}

export interface Surroundings {
  clock: Clock;
  random: Random;
  emit: Emit;
}

/** A listener in front of an upstream, its links and the toxics on them. */
export class FaultProxy {
  readonly name: string;
  readonly #clock: Clock;
  readonly #links = new Set<Link>();
  readonly #host: LinkHost;
  #settings: ProxySettings;
  #listener: PortListener | null = null;
  #mirror: Mirror | null = null;
  #toxics: InstalledToxic[] = [];
  #linkCount = 0;

  /** It is not enabled before `start`, whatever the settings say. */
  constructor(name: string, settings: ProxySettings, { clock, random, emit }: Surroundings) {
    this.name = name;
    this.#settings = { ...settings, enabled: false };
    this.#clock = clock;
    this.#host = {
      clock,
      random,
      mirrored: () => this.#settings.mirror,
      killed: (link, { toxic, at, how, idleMs }) =>
        emit({ ev: 'kill', proxy: name, toxic, link: link.id, clientPort: link.clientPort, at, how, idleMs }),
      upstreamFailed: () => void this.#mirror?.suspect(),
      closed: link => this.#links.delete(link),
    };
  }

  get settings(): Readonly<ProxySettings> {
    return this.#settings;
  }

  json(): object {
    const { listen, upstream, enabled, mirror } = this.#settings;
    return { name: this.name, listen, upstream, enabled, mirror, toxics: this.toxics().map(toxicJson) };
  }

  async start(): Promise<void> {
    if (this.#settings.enabled) return;
    const address = await listenAddress(this.#settings.listen, 'listen tcp: ');
    const listener = new PortListener(address, this.#clock, client => this.#accept(client));
    await listener.open();
    this.#listener = listener;
    this.#settings = { ...this.#settings, enabled: true, listen: addressText(listener.address) };
    this.#remirror();
  }

  /** Ends every link, dropped ones too, with what they hold. */
  stop(): void {
    this.#settings = { ...this.#settings, enabled: false };
    this.#mirror?.close();
    this.#mirror = null;
    this.#listener?.shut();
    this.#listener = null;
    for (const link of this.#links) link.destroy();
  }

  /** As in Toxiproxy, a new address cuts every link; anything else leaves them alone. */
  async change(to: ProxySettings): Promise<void> {
    const { upstream, mirror } = this.#settings;
    const listen = addressText(await listenAddress(to.listen));
    const moved =
      upstream !== to.upstream || (listen !== this.#settings.listen && to.listen !== this.#settings.listen);
    if (moved || !to.enabled) this.stop();
    this.#settings = {
      ...to,
      enabled: this.#settings.enabled,
      listen: moved ? to.listen : this.#settings.listen,
    };
    if (to.enabled && !this.#settings.enabled) await this.start();
    else if (mirror !== to.mirror) this.#remirror();
  }

  /** Upstream ones first, each in the order they came: Toxiproxy's listing. */
  toxics(): InstalledToxic[] {
    const of = (direction: string) => this.#toxics.filter(toxic => toxic.direction === direction);
    return [...of('upstream'), ...of('downstream')];
  }

  toxic(name: string): InstalledToxic {
    const found = this.#toxics.find(toxic => toxic.name === name);
    if (found === undefined) throw toxicNotFound();
    return found;
  }

  addToxic(body: Body): InstalledToxic {
    const toxic = toxicFrom(body);
    if (this.#toxics.some(({ name }) => name === toxic.name)) throw toxicExists();
    this.#toxics.push(toxic);
    for (const link of this.#links) link.install(toxic);
    return toxic;
  }

  updateToxic(name: string, body: Body): InstalledToxic {
    const before = this.toxic(name);
    const toxic = toxicChanged(before, body);
    this.#toxics[this.#toxics.indexOf(before)] = toxic;
    for (const link of this.#links) link.update(toxic);
    return toxic;
  }

  removeToxic(name: string): void {
    const toxic = this.toxic(name);
    this.#toxics.splice(this.#toxics.indexOf(toxic), 1);
    for (const link of this.#links) link.uninstall(toxic, 'removed');
  }

  #accept(client: Socket): void {
    const upstream = dialable(this.#settings.upstream);
    if (upstream === null) return void (this.#settings.mirror ? reset(client) : client.destroy());
    const link = new Link(++this.#linkCount, client, upstream, this.#host);
    this.#links.add(link);
    link.onceOpen(() => {
      for (const toxic of this.#toxics) link.install(toxic);
    });
  }

  #remirror(): void {
    const listener = this.#listener;
    if (listener === null) return;
    if (this.#mirror !== null) {
      this.#mirror.close();
      this.#mirror = null;
      if (!listener.isOpen) void listener.reopen();
    }
    if (!this.#settings.mirror) return;
    this.#mirror = new Mirror(this.#settings.upstream, listener, this.#clock);
    void this.#mirror.suspect();
  }
}

/** Toxiproxy listens on every interface when none is named; here nothing is reachable from outside unasked. */
async function listenAddress(listen: string, doing = ''): Promise<Address> {
  try {
    return await resolveAddress(listen === '' ? '127.0.0.1:0' : listen);
  } catch (error) {
    throw new ApiError(500, `${doing}${(error as Error).message}`);
  }
}

function dialable(upstream: string): Address | null {
  try {
    return parseAddress(upstream);
  } catch {
    return null;
  }
}
