import type { Actor } from '../loop.ts';
import type { ServerEnd, ServerHears } from './contract.ts';
import type { KeepAlive } from './firewall.ts';
import type { Lane } from './lane.ts';
import type { Path, Receiver } from './packet.ts';

/** The link as its server's end knows it. */
interface Link {
  readonly clientPort: number;
  readonly path: Path;
  readonly up: Lane;
  readonly down: Lane;
  serverClosed(how: 'close' | 'reset'): void;
  setKeepAlive(end: 'server', keepAlive: Omit<KeepAlive, 'sinceMs'> | null): void;
}

/** The server's end of a link. Once it has ended, closed or reset nothing it sends goes anywhere. */
export class ServerSide implements ServerEnd, Receiver {
  readonly actor: Actor;
  readonly libuv = false;
  readonly clientPort: number;
  readonly #link: Link;
  #hears: ServerHears | null = null;
  #sends = true;
  #isOpen = true;

  constructor(link: Link, actor: Actor) {
    this.actor = actor;
    this.clientPort = link.clientPort;
    this.#link = link;
    actor.belongings.add(this);
  }

  set hears(hears: ServerHears) {
    this.#hears = hears;
  }

  get unreadBytes(): number {
    return this.#link.down.bytes;
  }

  send(chunk: Buffer, atMs = 0): void {
    if (!this.#sends) return;
    const { down, path } = this.#link;
    // Whoever receives may write into what it got, and this may be a constant.
    down.send('data', Buffer.from(chunk), atMs > path.loop.nowMs ? atMs : path.loop.nowMs);
  }

  discard(): void {
    this.#link.down.discard();
  }

  end(): void {
    if (!this.#sends) return;
    this.#sends = false;
    const { down, path } = this.#link;
    down.send('fin', null, path.loop.nowMs);
  }

  close(): void {
    this.#leave('close');
  }

  /** Its actor has ended. */
  ended(): void {
    this.close();
  }

  reset(): void {
    this.#leave('reset');
  }

  #leave(how: 'close' | 'reset'): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#sends = false;
    this.actor.belongings.delete(this);
    this.#link.serverClosed(how);
  }

  setKeepAlive(enable: boolean): void {
    this.#link.setKeepAlive('server', enable ? this.#link.path.model.keepAlive : null);
  }

  pause(): void {
    if (this.#isOpen) this.#link.up.stop();
  }

  resume(): void {
    if (this.#isOpen) this.#link.up.go();
  }

  data(chunk: Buffer): void {
    this.#hears?.data(chunk);
  }

  fin(): void {
    this.#hears?.end();
  }

  broken(): void {
    this.#isOpen = false;
    this.#sends = false;
    this.actor.belongings.delete(this);
    this.#hears?.reset();
  }

  /** The link is over. */
  forgotten(): void {
    this.actor.belongings.delete(this);
  }
}
