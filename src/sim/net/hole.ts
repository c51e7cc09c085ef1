import type { Entry, VirtualLoop } from '../loop.ts';
import type { Lane } from './lane.ts';
import type { Packet } from './packet.ts';

const giveUp = (hole: Hole): void => hole.giveUp();

/**
 * A connection the proxy has dropped: bytes, FIN and RST of either end come to the proxy and vanish. Its kernel
 * acknowledges everything, so that no keepalive finds out. The client is reset `giveUpMs` after the first thing it
 * sends into the hole.
 */
export class Hole {
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #giveUpMs: number;
  readonly #loop: VirtualLoop;
  readonly #over: () => void;
  #entry: Entry | null = null;
  #clientGone = false;
  #serverEnded: boolean;

  constructor(up: Lane, down: Lane, giveUpMs: number, loop: VirtualLoop, over: () => void) {
    this.#up = up;
    this.#down = down;
    this.#giveUpMs = giveUpMs;
    this.#loop = loop;
    this.#over = over;
    this.#serverEnded = down.isEnded;
    if (up.isEnded) this.#sent(loop.nowMs);
    up.sever(false, packet => this.#fromClient(packet));
    down.sever(false, packet => this.#fromServer(packet));
  }

  #fromClient({ kind, passMs }: Packet): void {
    if (kind !== 'rst') return this.#sent(passMs);
    this.#clientGone = true;
    this.#forget();
  }

  #sent(passMs: number): void {
    if (this.#clientGone) return;
    this.#entry ??= this.#loop.schedule(passMs + this.#giveUpMs, this.#loop.root, giveUp, this as Hole);
  }

  giveUp(): void {
    if (this.#clientGone) return;
    this.#clientGone = true;
    this.#down.inject('rst', this.#loop.nowMs);
    this.#forget();
  }

  #fromServer({ kind }: Packet): void {
    if (kind === 'data') return;
    this.#serverEnded = true;
    this.#forget();
  }

  /** Nobody can tell any more when both ends are gone. */
  #forget(): void {
    if (!this.#clientGone || !this.#serverEnded) return;
    if (!this.#up.isEnded) this.#up.inject('fin', this.#loop.nowMs);
    this.#over();
  }

  close(): void {
    if (this.#entry !== null) this.#loop.cancel(this.#entry);
    this.#clientGone = true;
  }
}
