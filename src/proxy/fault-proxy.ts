import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { type Address, addressText, parseAddress, resolveAddress } from './address.ts';
import { ApiError, aboveLimit, connectionNotFound, toxicExists, toxicNotFound } from './api-error.ts';
import { Door } from './door.ts';
import type { Emit } from './events.ts';
import type { Body } from './fields.ts';
import { hits, type InstalledToxic, toxicChanged, toxicFrom, toxicJson } from './installed-toxic.ts';
import { Link, type LinkHost } from './link.ts';
import { ranked } from './select.ts';
import { reset } from './sockets.ts';
import { Tally } from './tally.ts';
import type { KillHow } from './toxics/toxic.ts';

/** Far more than anybody reads. */
export const toxicsMax = 100;

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
  readonly #random: Random;
  /** In the order they came. */
  readonly #links = new Map<number, Link>();
  readonly #tally = new Tally();
  readonly #host: LinkHost;
  #settings: ProxySettings;
  #door: Door | null = null;
  #toxics: InstalledToxic[] = [];
  #linkCount = 0;

  /** It is not enabled before `start`, whatever the settings say. */
  constructor(name: string, settings: ProxySettings, { clock, random, emit }: Surroundings) {
    this.name = name;
    this.#settings = { ...settings, enabled: false };
    this.#clock = clock;
    this.#random = random;
    this.#host = {
      clock,
      random,
      mirrored: () => this.#settings.mirror,
      opened: link => {
        for (const toxic of this.#toxics) link.toxics?.install(toxic, false);
      },
      killed: (link, { toxic, at, how, idleMs }) => {
        this.#tally.killed(how);
        emit({ ev: 'kill', proxy: name, toxic, link: link.id, clientPort: link.clientPort, at, how, idleMs });
      },
      upstreamFailed: () => this.#door?.suspect(),
      closed: link => {
        if (this.#links.delete(link.id)) this.#tally.ended(link);
      },
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
    this.#door = await Door.open(address, this.#clock, client => this.#accept(client));
    this.#settings = { ...this.#settings, enabled: true, listen: addressText(this.#door.address) };
    this.#remirror();
    this.#redoor();
  }

  /** Ends every link, dropped ones too, with what they hold. */
  stop(): void {
    this.#settings = { ...this.#settings, enabled: false };
    this.#door?.close();
    this.#door = null;
    for (const link of this.#links.values()) {
      link.destroy();
      this.#tally.ended(link);
    }
    this.#links.clear();
  }

  /** Whether it would have to move to be like this: Toxiproxy's test. */
  async differs({ listen, upstream }: Pick<ProxySettings, 'listen' | 'upstream'>): Promise<boolean> {
    const address = addressText(await listenAddress(listen));
    return upstream !== this.#settings.upstream || address !== this.#settings.listen;
  }

  /** As in Toxiproxy, a new address cuts every link; anything else leaves them alone. */
  async change(to: ProxySettings): Promise<void> {
    const { listen, upstream, mirror } = this.#settings;
    const moved = (await this.differs(to)) && (upstream !== to.upstream || listen !== to.listen);
    if (moved || !to.enabled) this.stop();
    if (moved) this.#tally.restart();
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

  /** Its listener may lag behind: see `settled`. */
  addToxic(body: Body): InstalledToxic {
    const toxic = this.#chosen(toxicFrom(body));
    if (this.#toxics.some(({ name }) => name === toxic.name)) throw toxicExists();
    if (this.#toxics.length >= toxicsMax)
      throw aboveLimit('toxics of a proxy', toxicsMax, this.#toxics.length + 1);
    this.#toxics.push(toxic);
    for (const link of this.#links.values()) link.toxics?.install(toxic, true);
    this.#regate(toxic);
    return toxic;
  }

  updateToxic(name: string, body: Body): InstalledToxic {
    const before = this.toxic(name);
    const changed = toxicChanged(before, body);
    const reselect = changed.select !== before.select;
    const toxic = reselect ? this.#chosen(changed) : changed;
    this.#toxics[this.#toxics.indexOf(before)] = toxic;
    for (const link of this.#links.values()) link.toxics?.update(toxic, reselect);
    this.#regate(toxic);
    return toxic;
  }

  removeToxic(name: string): void {
    const toxic = this.toxic(name);
    this.#toxics.splice(this.#toxics.indexOf(toxic), 1);
    for (const link of this.#links.values()) link.toxics?.uninstall(toxic, 'removed');
    this.#regate({ ...toxic, toxicity: 0 });
  }

  /** These toxics and no others; one that is there already, by name, type and stream, is changed, not replaced. */
  retoxify(bodies: Body[]): void {
    const wanted = new Map(bodies.map(body => [toxicFrom(body).name, body] as const));
    for (const { name, type, stream } of this.toxics()) {
      const same = wanted.has(name) ? toxicFrom(wanted.get(name)!) : null;
      if (same?.type !== type || same.stream !== stream) this.removeToxic(name);
    }
    for (const [name, body] of wanted) {
      const there = this.#toxics.some(toxic => toxic.name === name);
      if (there) this.updateToxic(name, body);
      else this.addToxic(body);
    }
  }

  /** Resolves when the listener is as the toxics want it. */
  async settled(): Promise<void> {
    await this.#door?.settled();
  }

  /** The connections there are, oldest first. */
  connections(): object[] {
    return [...this.#links.values()].map(link => link.json());
  }

  endConnection(id: number, how: KillHow): void {
    const link = this.#links.get(id);
    if (link === undefined) throw connectionNotFound();
    link.kill('', how);
  }

  /** What it has done, for the metrics. */
  counts() {
    const over = this.#door?.overCount ?? 0;
    return {
      accepted: this.#linkCount,
      over,
      open: this.#links.size,
      ...this.#tally.with(this.#links.values()),
    };
  }

  #accept(client: Socket): void {
    const upstream = dialable(this.#settings.upstream);
    if (upstream === null) return void (this.#settings.mirror ? reset(client) : client.destroy());
    const link = new Link(++this.#linkCount, client, upstream, this.#host);
    this.#links.set(link.id, link);
    for (const installed of this.#toxics.filter(toxic => hits(this.#random, toxic, link))) {
      const { name, toxic, attributes, shared } = installed;
      const end = toxic.turnAway?.(attributes, { shared });
      if (end) return link.kill(name, end.how, end.giveUpMs);
      if (toxic.dialDelayMs) link.delay(name, toxic.dialDelayMs(attributes));
    }
    link.dial();
  }

  /** Which connections a selection by rank chooses, now. */
  #chosen(toxic: InstalledToxic): InstalledToxic {
    const bySelf = { ...toxic, victims: null };
    const { clientPort } = toxic.select;
    const fitting = [...this.#links.values()].filter(
      link => (clientPort ?? link.clientPort) === link.clientPort && link.toxics?.fits(bySelf),
    );
    const victims = ranked(toxic.select, fitting);
    return { ...toxic, victims: victims && new Set(victims.map(({ id }) => id)) };
  }

  /** What a toxic that came, changed or left means for connections to come. */
  #regate(installed: InstalledToxic): void {
    const { name, toxic, attributes } = installed;
    if (toxic.refuses) this.#redoor();
    if (!toxic.dialDelayMs) return;
    for (const link of this.#links.values()) {
      link.delay(name, hits(this.#random, installed, link) ? toxic.dialDelayMs(attributes) : null);
      link.dial();
    }
  }

  /** There is no connection to draw for: connection 0 stands for the listener. */
  #redoor(): void {
    const nobody = { id: 0, clientPort: 0 };
    this.#door?.refuse(this.#toxics.some(each => each.toxic.refuses && hits(this.#random, each, nobody)));
  }

  #remirror(): void {
    const { mirror, upstream } = this.#settings;
    this.#door?.mirror(mirror ? upstream : null);
  }
}

/** Toxiproxy listens on every interface when none is named; here nothing is reachable from outside unasked. */
async function listenAddress(listen: string, doing = ''): Promise<Address> {
  try {
    const { host = '127.0.0.1', port } = await resolveAddress(listen === '' ? ':0' : listen);
    return { host, port };
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
