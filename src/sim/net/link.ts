import type { Random } from '../../random.ts';
import type { Actor } from '../loop.ts';
import type { Accept, PathKill } from './contract.ts';
import { Firewall, type KeepAlive } from './firewall.ts';
import { Hole } from './hole.ts';
import { IdleWatch } from './idle-watch.ts';
import { Lane } from './lane.ts';
import type { Packet, Path, Receiver } from './packet.ts';
import { ServerSide } from './server-side.ts';
import type { InstalledToxic, KillHow } from './toxics.ts';

/** Who listens at a port. */
export interface Listener {
  actor: Actor;
  accept: Accept;
}

/** The client's end. */
export interface ClientSide extends Receiver {
  connected(): void;
  refused(): void;
}

/** What a link asks of its network, and tells it. */
export interface LinkHost {
  path: Path;
  /** null: refuses. */
  listener(port: number): Listener | null;
  /** The proxy's own listener, which is behind the server's; a firewall has none and passes the server's. */
  accepts(port: number): boolean;
  /** What the proxy learns of the server. */
  upstreamRefused(port: number): void;
  upstreamEnded(port: number): void;
  /** The next link's number, from 1, in the order they reach the proxy. */
  accepted(link: Link): number;
  toxics(): Iterable<InstalledToxic>;
  killed(kill: PathKill): void;
  closed(link: Link): void;
}

const round3 = (ms: number): number => Math.round(ms * 1000) / 1000;
const ignore = (): void => {};

const syn = (link: Link): void => link.syn();
const reach = (link: Link): void => link.reach();
const accept = ({ link, listener }: { link: Link; listener: Listener }): void => link.accept(listener);
const connected = (client: ClientSide): void => client.connected();
const refused = (client: ClientSide): void => client.refused();

/** One connection: dialing > open > closed, or open > dropped > closed. */
export class Link {
  id = 0;
  readonly port: number;
  readonly clientPort: number;
  readonly up: Lane;
  readonly down: Lane;
  readonly path: Path;
  readonly #host: LinkHost;
  readonly #client: ClientSide;
  readonly #watches = new Map<string, IdleWatch>();
  readonly #keepAlive: { client: KeepAlive | null; server: KeepAlive | null } = {
    client: null,
    server: null,
  };
  #state: 'dialing' | 'open' | 'dropped' | 'closed' = 'dialing';
  #server: ServerSide | null = null;
  #hole: Hole | null = null;
  #firewall: Firewall | null = null;
  #ended = { up: false, down: false };
  #synAckMs = 0;
  #acceptMs = 0;
  #openMs = 0;

  constructor(host: LinkHost, port: number, clientPort: number, client: ClientSide, random: Random) {
    this.#host = host;
    this.port = port;
    this.clientPort = clientPort;
    this.#client = client;
    const { path } = host;
    this.path = path;
    this.up = new Lane(path, 'upstream', this.#gone('up'), random, kind => this.#over('up', kind));
    this.down = new Lane(path, 'downstream', client, random, kind => this.#over('down', kind));
    // The client reads from 'connect' on, the server once it has accepted.
    this.down.stop();
    this.up.stop();
    this.#dial();
  }

  /** The proxy's kernel answers a SYN before the server has heard of it; a firewall lets it through. */
  #dial(): void {
    const { loop, kind } = this.path;
    const synMs = this.up.handshakeMs(loop.nowMs);
    this.#synAckMs = this.down.handshakeMs(synMs);
    this.#acceptMs = kind === 'userspace' ? synMs + this.up.hopMs() : synMs;
    this.#openMs = kind === 'userspace' ? this.#acceptMs + this.down.hopMs() : synMs;
    this.up.opens(this.#openMs, this.#acceptMs);
    this.down.opens(this.#openMs, this.#synAckMs);
    loop.schedule(synMs, loop.root, syn, this as Link);
  }

  syn(): void {
    const { loop } = this.path;
    if (this.#state !== 'dialing') return;
    const open = this.#host.accepts(this.port);
    loop.schedule(this.#synAckMs, this.#client.actor, open ? connected : refused, this.#client);
    if (!open) return this.#close();
    this.id = this.#host.accepted(this);
    loop.schedule(this.#acceptMs, loop.root, reach, this as Link);
  }

  reach(): void {
    const { loop } = this.path;
    const listener = this.#host.listener(this.port);
    if (this.#state !== 'dialing') return;
    if (listener !== null) {
      loop.schedule(loop.nowMs, listener.actor, accept, { link: this as Link, listener });
      return;
    }
    // It has stopped listening, and the proxy learns of it now.
    this.#host.upstreamRefused(this.port);
    this.up.sever(false, ignore);
    this.down.inject('rst', this.#openMs);
    this.#close();
  }

  accept(listener: Listener): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    const side = new ServerSide(this, listener.actor);
    this.#server = side;
    this.up.handTo(side);
    side.hears = listener.accept(side);
    for (const toxic of this.#host.toxics()) this.install(toxic);
  }

  install({ name, idle }: InstalledToxic): void {
    if (this.#state !== 'open' || idle === null) return;
    this.#watches.set(name, new IdleWatch(this, name, idle, this.path.loop));
  }

  uninstall({ name }: InstalledToxic): void {
    this.#watches.get(name)?.close();
    this.#watches.delete(name);
  }

  /** When bytes, or on a wire probes, last passed. */
  get activeMs(): number {
    const bytesMs = Math.max(this.up.activeMs, this.down.activeMs);
    if (this.path.kind === 'userspace') return bytesMs;
    const { client, server } = this.#keepAlive;
    return Math.max(bytesMs, this.#probeMs(client, bytesMs), this.#probeMs(server, bytesMs));
  }

  /** The last probe of an end whose every probe was answered so far. */
  #probeMs(keepAlive: KeepAlive | null, bytesMs: number): number {
    if (keepAlive === null) return 0;
    const { idleMs, sinceMs } = keepAlive;
    const base = Math.max(bytesMs, sinceMs);
    const probes = Math.floor((this.path.loop.nowMs - base) / idleMs);
    return probes > 0 ? base + probes * idleMs : 0;
  }

  setKeepAlive(end: 'client' | 'server', keepAlive: Omit<KeepAlive, 'sinceMs'> | null): void {
    const sinceMs = this.path.loop.nowMs;
    this.#keepAlive[end] = keepAlive && { ...keepAlive, sinceMs };
    this.#firewall?.keepAliveChanged(end, this.#keepAlive[end]);
  }

  kill(toxic: string, { how, giveUpMs }: { how: KillHow; giveUpMs: number }): void {
    if (this.#state !== 'open') return;
    const { nowMs } = this.path.loop;
    const idleMs = round3(nowMs - this.activeMs);
    if (how === 'drop') this.#drop(giveUpMs);
    else if (how === 'rst' && this.path.kind === 'packet') this.#refuse();
    else this.#endBoth(how, how === 'fin');
    const { id, clientPort } = this;
    this.#host.killed({ toxic, link: id, clientPort, atMs: round3(nowMs), how, idleMs });
  }

  #drop(giveUpMs: number): void {
    const { loop, kind, model } = this.path;
    this.#state = 'dropped';
    this.#unwatch();
    const over = () => this.#close();
    if (kind === 'userspace') this.#hole = new Hole(this.up, this.down, giveUpMs, loop, over);
    else {
      const { client, server } = this.#keepAlive;
      const bytesMs = Math.max(this.up.activeMs, this.down.activeMs);
      this.#firewall = new Firewall(this.up, this.down, model.retransmitGiveUpMs, bytesMs, loop, over);
      this.#firewall.keepAliveChanged('client', client);
      this.#firewall.keepAliveChanged('server', server);
    }
  }

  /** A firewall that has forgotten the connection answers what comes with RST; who sends nothing is never told. */
  #refuse(): void {
    this.#state = 'dropped';
    this.#unwatch();
    const answer = (back: Lane) => (packet: Packet) => {
      if (packet.kind !== 'rst' && !back.isReset) back.inject('rst', packet.passMs);
    };
    this.up.sever(false, answer(this.down));
    this.down.sever(false, answer(this.up));
  }

  /** As the proxy when it is deleted: closes both of its sockets at once, what it holds is lost. */
  cut(): void {
    if (this.#state !== 'closed') this.#endBoth('fin', false);
  }

  #endBoth(how: 'fin' | 'rst', flush: boolean): void {
    const { nowMs } = this.path.loop;
    const { up, down } = this;
    this.#hole?.close();
    this.#firewall?.close();
    const ended = [up.isEnded, down.isEnded];
    up.sever(flush, packet => this.#unwanted(packet, down));
    down.sever(flush, packet => this.#unwanted(packet, up));
    if (how === 'rst' || !ended[0]) up.inject(how, nowMs);
    if (how === 'rst' || !ended[1]) down.inject(how, nowMs);
    this.#close();
  }

  /** Bytes that come to a socket that is no more. */
  #unwanted({ kind, passMs }: Packet, back: Lane): void {
    if (kind === 'data' && !back.isReset) back.inject('rst', passMs);
  }

  /** The client's descriptor is gone; what it had not read is lost. */
  clientClosed(how: 'close' | 'reset'): void {
    const kind = how === 'reset' || this.down.hasUnread ? 'rst' : 'fin';
    this.setKeepAlive('client', null);
    this.down.handTo(this.#gone('down'));
    this.#leave(this.up, kind);
  }

  serverClosed(how: 'close' | 'reset'): void {
    if (!this.up.isEndSent) this.#host.upstreamEnded(this.port);
    const kind = how === 'reset' || this.up.hasUnread ? 'rst' : 'fin';
    this.setKeepAlive('server', null);
    this.up.handTo(this.#gone('up'));
    if (kind === 'rst') this.down.discard();
    this.#leave(this.down, kind);
  }

  #leave(lane: Lane, kind: 'fin' | 'rst'): void {
    if (lane.isReset || (kind === 'fin' && lane.isEndSent)) return;
    lane.send(kind, null, this.path.loop.nowMs);
  }

  /** What receives where nobody is left: the kernel, which answers bytes with RST. */
  #gone(lane: 'up' | 'down'): Receiver {
    const { loop, kind } = this.path;
    let answeredMs = Number.POSITIVE_INFINITY;
    const data = () => {
      const back = lane === 'up' ? this.down : this.up;
      if (back.isReset) return;
      // The proxy has read an end there and reads no further: it finds the RST only when it writes once more.
      const isUnread = kind === 'userspace' && back.isEndSent && !back.isResetHidden;
      if (!isUnread || loop.nowMs > answeredMs) back.send('rst', null, loop.nowMs);
      else answeredMs = Math.min(answeredMs, loop.nowMs + back.hopMs());
    };
    return { actor: loop.root, libuv: false, data, fin: ignore, broken: ignore };
  }

  #over(lane: 'up' | 'down', kind: string): void {
    this.#ended[lane] = true;
    if (this.#state !== 'open') return;
    if (kind !== 'fin' || (this.#ended.up && this.#ended.down)) this.#close();
  }

  #unwatch(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#unwatch();
    this.#server?.forgotten();
    this.#host.closed(this);
  }
}
