import { connect, type Socket } from 'node:net';
import { type Clock, round3 } from '../clock.ts';
import type { Random } from '../random.ts';
import type { Address } from './address.ts';
import { fallSilent } from './hole.ts';
import { type Activity, Lane } from './lane.ts';
import { LinkToxics } from './link-toxics.ts';
import { endSoftly, reset, socketOptions } from './sockets.ts';
import { giveUpMsDefault, type KillHow, type WatchedLink } from './toxics/toxic.ts';

/** What a link is told and whom it tells. */
export interface LinkHost {
  clock: Clock;
  random: Random;
  /** The peers see what the other side did: a refused or reset upstream is a reset. Else: an end, as in Toxiproxy. */
  mirrored(): boolean;
  /** Bytes are about to flow: the moment to install toxics. */
  opened(link: Link): void;
  killed(link: Link, kill: { toxic: string; at: number; how: KillHow; idleMs: number }): void;
  /** The upstream refused, ended or reset, and not because the client had ended first. */
  upstreamFailed(): void;
  closed(link: Link): void;
}

type LinkState = 'waiting' | 'dialing' | 'open' | 'ending' | 'dropped' | 'closing';

export interface DirectionBytes {
  upstream: number;
  downstream: number;
}

/**
 * One client connection: waiting > dialing > open > closing, or open > dropped > closing.
 *
 *     client  > up lane   > upstream
 *     client <  down lane < upstream
 */
export class Link {
  readonly id: number;
  readonly clientPort: number;
  readonly #host: LinkHost;
  readonly #client: Socket;
  readonly #address: Address;
  readonly #acceptedMs: number;
  readonly #activity: Activity;
  readonly #delays = new Map<string, number>();
  #upstream: Socket | null = null;
  #lanes: { upstream: Lane; downstream: Lane } | null = null;
  #toxics: LinkToxics | null = null;
  #killedBy: string | null = null;
  #state: LinkState = 'waiting';
  #stopTimer = () => {};

  constructor(id: number, client: Socket, upstream: Address, host: LinkHost) {
    this.id = id;
    this.clientPort = client.remotePort ?? 0;
    this.#host = host;
    this.#client = client;
    this.#address = upstream;
    this.#acceptedMs = host.clock.nowMs();
    this.#activity = { lastMs: this.#acceptedMs };
    client.on('error', () => this.#broken(client)).on('close', () => this.#closed());
  }

  /** Bytes read from their source. */
  get received(): DirectionBytes {
    return { upstream: this.#client.bytesRead, downstream: this.#upstream?.bytesRead ?? 0 };
  }

  /** Bytes written to their sink. */
  get sent(): DirectionBytes {
    return { upstream: this.#upstream?.bytesWritten ?? 0, downstream: this.#client.bytesWritten ?? 0 };
  }

  json(): object {
    const nowMs = this.#host.clock.nowMs();
    return {
      id: this.id,
      clientPort: this.clientPort,
      state: this.#state,
      ageMs: Math.floor(nowMs - this.#acceptedMs),
      idleMs: Math.floor(nowMs - this.#activity.lastMs),
      receivedBytes: this.received,
      sentBytes: this.sent,
      heldBytes: {
        upstream: this.#lanes?.upstream.heldBytes ?? 0,
        downstream: this.#lanes?.downstream.heldBytes ?? 0,
      },
      toxics:
        this.#killedBy === null ? [...this.#delays.keys(), ...(this.#toxics?.names ?? [])] : [this.#killedBy],
    };
  }

  /** The toxics on it; null before it is open and when it is over. */
  get toxics(): LinkToxics | null {
    return this.#toxics;
  }

  /** Before it is dialed: the toxic asks for so much time after the client came; null: no longer. */
  delay(toxic: string, ms: number | null): void {
    if (this.#state !== 'waiting') return;
    if (ms === null) this.#delays.delete(toxic);
    else this.#delays.set(toxic, ms);
  }

  /** Dials the upstream when every delay has passed. Again after a change of the delays. */
  dial(): void {
    if (this.#state !== 'waiting') return;
    const { clock } = this.#host;
    this.#stopTimer();
    const delayMs = [...this.#delays.values()].reduce((sum, ms) => sum + ms, 0);
    const leftMs = this.#acceptedMs + delayMs - clock.nowMs();
    if (leftMs <= 0) this.#dial();
    else this.#stopTimer = clock.after(Math.ceil(leftMs), () => this.#dial());
  }

  /** Ends it in whatever state it is; `toxic` is who wanted it. Once: later calls do nothing. */
  kill(toxic: string, how: KillHow, giveUpMs = giveUpMsDefault): void {
    if (this.#state !== 'open' && this.#state !== 'waiting' && this.#state !== 'dialing') return;
    const { clock } = this.#host;
    const nowMs = clock.nowMs();
    const idleMs = round3(nowMs - this.#activity.lastMs);
    const wasOpen = this.#state === 'open';
    // What is flushed may run into a toxic that ends the link, too.
    this.#state = 'ending';
    if (how === 'fin') for (const lane of Object.values(this.#lanes ?? {})) lane.flush();
    this.#letGo(how === 'drop' ? 'dropped' : 'closing');
    this.#killedBy = toxic;
    if (how === 'drop') this.#stopTimer = fallSilent(this.#client, this.#upstream, giveUpMs, clock);
    else if (wasOpen) for (const socket of [this.#client, this.#upstream!]) end(socket, how);
    else this.#endUnopened(how);
    this.#host.killed(this, { toxic, at: round3(nowMs), how, idleMs });
  }

  /** Closes both sockets at once, with all that is held. */
  destroy(): void {
    this.#letGo('closing');
    this.#client.destroy();
    this.#upstream?.destroy();
  }

  #dial(): void {
    this.#state = 'dialing';
    const upstream = connect({ ...this.#address, ...socketOptions });
    this.#upstream = upstream;
    upstream.on('error', () => this.#broken(upstream)).on('close', () => this.#closed());
    upstream.once('connect', () => this.#open(upstream));
  }

  #open(upstream: Socket): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    const { clock } = this.#host;
    this.#activity.lastMs = clock.nowMs();
    const pass = (sink: Socket) => (this.#host.mirrored() ? reset(sink) : sink.destroySoon());
    this.#lanes = {
      upstream: new Lane(this.#client, upstream, this.#activity, clock, pass),
      downstream: new Lane(upstream, this.#client, this.#activity, clock, pass),
    };
    const { id, clientPort } = this;
    const seenBy = (toxic: string) => this.#seenBy(toxic, upstream);
    this.#toxics = new LinkToxics({
      id,
      clientPort,
      clock,
      random: this.#host.random,
      lanes: this.#lanes,
      seenBy,
    });
    upstream.once('end', () => this.#upstreamEnded());
    this.#host.opened(this);
  }

  #seenBy(toxic: string, upstream: Socket): WatchedLink {
    const activity = this.#activity;
    return {
      acceptedMs: this.#acceptedMs,
      get lastActivityMs() {
        return activity.lastMs;
      },
      get answeredBytes() {
        return upstream.bytesRead;
      },
      kill: (how, giveUpMs) => this.kill(toxic, how, giveUpMs),
    };
  }

  #endUnopened(how: KillHow): void {
    this.#upstream?.destroy();
    if (how === 'rst') reset(this.#client);
    else this.#stopTimer = endSoftly(this.#client, this.#host.clock);
  }

  /** From here on neither lanes nor watches act on this link. */
  #letGo(state: 'dropped' | 'closing'): void {
    this.#state = state;
    this.#stopTimer();
    for (const lane of Object.values(this.#lanes ?? {})) lane.close();
    this.#lanes = null;
    this.#toxics?.close();
    this.#toxics = null;
  }

  /** A reset, seen as one: libuv reports a reset behind unread bytes as an end, and then it is passed on as that. */
  #broken(socket: Socket): void {
    const { upstream, downstream } = this.#lanes ?? {};
    if (socket === this.#upstream) this.#upstreamEnded();
    if (this.#state === 'dialing' || this.#state === 'waiting') this.#undialed(socket);
    else if (this.#state === 'open') (socket === this.#client ? upstream : downstream)?.finish('rst');
  }

  #undialed(broken: Socket): void {
    this.#letGo('closing');
    if (broken === this.#client) this.#upstream?.destroy();
    else if (this.#host.mirrored()) reset(this.#client);
    else this.#client.destroy();
  }

  #upstreamEnded(): void {
    if (this.#state === 'closing') return;
    if (this.#state === 'dialing' || !this.#client.readableEnded) this.#host.upstreamFailed();
  }

  #closed(): void {
    if (!this.#client.closed || (this.#upstream !== null && !this.#upstream.closed)) return;
    this.#letGo('closing');
    this.#host.closed(this);
  }
}

function end(socket: Socket, how: KillHow): void {
  if (how === 'rst') reset(socket);
  else socket.destroySoon();
}
