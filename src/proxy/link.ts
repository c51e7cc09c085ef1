import { connect, type Socket } from 'node:net';
import { type Clock, round3 } from '../clock.ts';
import type { Random } from '../random.ts';
import type { Address } from './address.ts';
import { fallSilent } from './hole.ts';
import type { InstalledToxic } from './installed-toxic.ts';
import { type Activity, Lane } from './lane.ts';
import { reset, socketOptions } from './sockets.ts';
import {
  type Attributes,
  giveUpMsDefault,
  type KillHow,
  type Watch,
  type WatchedLink,
} from './toxics/toxic.ts';

/** What a link is told and whom it tells. */
export interface LinkHost {
  clock: Clock;
  random: Random;
  /** The peers see what the other side did: a refused or reset upstream is a reset. Else: an end, as in Toxiproxy. */
  mirrored(): boolean;
  killed(link: Link, kill: { toxic: string; at: number; how: KillHow; idleMs: number }): void;
  /** The upstream refused, ended or reset, and not because the client had ended first. */
  upstreamFailed(): void;
  closed(link: Link): void;
}

/**
 * One client connection: dialing > open > closed, or open > dropped > closed.
 *
 *     client  > up lane   > upstream
 *     client <  down lane < upstream
 */
export class Link {
  readonly id: number;
  readonly clientPort: number;
  readonly #host: LinkHost;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #activity: Activity;
  readonly #watches = new Map<string, Watch>();
  #lanes: { upstream: Lane; downstream: Lane } | null = null;
  #state: 'dialing' | 'open' | 'ending' | 'dropped' | 'closed' = 'dialing';
  #stopGiveUp = () => {};

  constructor(id: number, client: Socket, upstream: Address, host: LinkHost) {
    this.id = id;
    this.clientPort = client.remotePort ?? 0;
    this.#host = host;
    this.#client = client;
    this.#activity = { lastMs: host.clock.nowMs() };
    this.#upstream = connect({ ...upstream, ...socketOptions });
    client.on('error', () => this.#broken(client)).on('close', () => this.#closed());
    this.#upstream.on('error', () => this.#broken(this.#upstream)).on('close', () => this.#closed());
  }

  /** Calls `ready` when bytes are about to flow: the moment to install toxics. */
  onceOpen(ready: () => void): void {
    this.#upstream.once('connect', () => {
      this.#open();
      ready();
    });
  }

  install(toxic: InstalledToxic): void {
    if (this.#lanes === null || !this.#hits(toxic)) return;
    const { name, direction, attributes } = toxic;
    const { clock } = this.#host;
    const tools = { clock, random: this.#host.random.fork('draws', name, this.id, direction) };
    const { stage, watch } = toxic.toxic;
    const seen = this.#seenBy(name);
    if (stage !== undefined) this.#lanes[direction].add(name, next => stage(next, attributes, tools, seen));
    if (watch !== undefined) this.#watches.set(name, watch(seen, attributes, tools));
  }

  update(toxic: InstalledToxic): void {
    if (this.#lanes === null) return;
    const { name, direction, attributes } = toxic;
    const parts: { update(attributes: Attributes): void }[] = [];
    for (const part of [this.#lanes[direction].get(name), this.#watches.get(name)])
      if (part) parts.push(part);
    if (!this.#hits(toxic)) this.uninstall(toxic, 'released');
    else if (parts.length === 0) this.install(toxic);
    else for (const part of parts) part.update(attributes);
  }

  /** `why`: the toxic is gone, or only its hold on this link. */
  uninstall({ name, direction }: InstalledToxic, why: 'removed' | 'released'): void {
    this.#watches.get(name)?.close();
    this.#watches.delete(name);
    this.#lanes?.[direction].remove(name, why);
  }

  /** Closes both sockets at once, with all that is held. */
  destroy(): void {
    this.#letGo('closed');
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #open(): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    const { clock } = this.#host;
    this.#activity.lastMs = clock.nowMs();
    const pass = (sink: Socket) => (this.#host.mirrored() ? reset(sink) : sink.destroySoon());
    this.#lanes = {
      upstream: new Lane(this.#client, this.#upstream, this.#activity, clock, pass),
      downstream: new Lane(this.#upstream, this.#client, this.#activity, clock, pass),
    };
    this.#upstream.once('end', () => this.#upstreamEnded());
  }

  /** One draw per toxic and link, whatever else is installed, so that victims stay the same. */
  #hits({ name, toxicity }: InstalledToxic): boolean {
    return this.#host.random.fork('toxicity', name, this.id).next() < toxicity;
  }

  #seenBy(toxic: string): WatchedLink {
    const activity = this.#activity;
    return {
      get lastActivityMs() {
        return activity.lastMs;
      },
      kill: (how, giveUpMs = giveUpMsDefault) => this.#kill(toxic, how, giveUpMs),
    };
  }

  #kill(toxic: string, how: KillHow, giveUpMs: number): void {
    if (this.#state !== 'open') return;
    const nowMs = this.#host.clock.nowMs();
    const idleMs = round3(nowMs - this.#activity.lastMs);
    // What is flushed may run into a toxic that ends the link, too.
    this.#state = 'ending';
    if (how === 'fin') for (const lane of Object.values(this.#lanes!)) lane.flush();
    this.#letGo(how === 'drop' ? 'dropped' : 'closed');
    const sockets = [this.#client, this.#upstream];
    if (how === 'drop')
      this.#stopGiveUp = fallSilent(this.#client, this.#upstream, giveUpMs, this.#host.clock);
    else for (const socket of sockets) how === 'rst' ? reset(socket) : socket.destroySoon();
    this.#host.killed(this, { toxic, at: round3(nowMs), how, idleMs });
  }

  /** From here on neither lanes nor watches act on this link. */
  #letGo(state: 'dropped' | 'closed'): void {
    this.#state = state;
    this.#stopGiveUp();
    for (const lane of Object.values(this.#lanes ?? {})) lane.close();
    this.#lanes = null;
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  /** A reset, seen as one: libuv reports a reset behind unread bytes as an end, and then it is passed on as that. */
  #broken(socket: Socket): void {
    const { upstream, downstream } = this.#lanes ?? {};
    if (socket === this.#upstream) this.#upstreamEnded();
    if (this.#state === 'dialing') this.#undialed(socket);
    else if (this.#state === 'open') (socket === this.#client ? upstream : downstream)?.finish('rst');
  }

  #undialed(broken: Socket): void {
    this.#letGo('closed');
    if (broken === this.#client) this.#upstream.destroy();
    else if (this.#host.mirrored()) reset(this.#client);
    else this.#client.destroy();
  }

  #upstreamEnded(): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'dialing' || !this.#client.readableEnded) this.#host.upstreamFailed();
  }

  #closed(): void {
    if (!this.#client.closed || !this.#upstream.closed) return;
    this.#letGo('closed');
    this.#host.closed(this);
  }
}
