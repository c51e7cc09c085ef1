import type { Entry, VirtualLoop } from '../loop.ts';
import type { Lane } from './lane.ts';
import type { Packet } from './packet.ts';

/** An end whose keepalive is on: probes after `idleMs`, and when one is not answered every `intervalMs`. */
export interface KeepAlive {
  idleMs: number;
  intervalMs: number;
  probes: number;
  /** When it was switched on. */
  sinceMs: number;
}

/**
 * A connection a firewall on the wire has forgotten: nothing passes and nothing is acknowledged. Each end finds out
 * by itself, as Linux does: with bytes unacknowledged when retransmission gives up, else by its keepalive, else never.
 */
export class Firewall {
  readonly #client: End;
  readonly #server: End;

  /** `bytesMs`: when bytes last passed. `over`: no end is left. */
  constructor(
    up: Lane,
    down: Lane,
    retransmitGiveUpMs: number,
    bytesMs: number,
    loop: VirtualLoop,
    over: () => void,
  ) {
    const lost = () => this.#client.isGone && this.#server.isGone && over();
    this.#client = new End(up, down, retransmitGiveUpMs, bytesMs, loop, lost);
    this.#server = new End(down, up, retransmitGiveUpMs, bytesMs, loop, lost);
    up.sever(false, packet => this.#client.sent(packet));
    down.sever(false, packet => this.#server.sent(packet));
  }

  keepAliveChanged(end: 'client' | 'server', keepAlive: KeepAlive | null): void {
    (end === 'client' ? this.#client : this.#server).keepAliveChanged(keepAlive);
  }

  close(): void {
    this.#client.close();
    this.#server.close();
  }
}

const timedOut = (end: End): void => end.timedOut();

class End {
  isGone = false;
  readonly #out: Lane;
  readonly #in: Lane;
  readonly #retransmitGiveUpMs: number;
  readonly #bytesMs: number;
  readonly #loop: VirtualLoop;
  readonly #droppedMs: number;
  readonly #lost: () => void;
  #unacknowledged = false;
  #entry: Entry | null = null;

  constructor(
    out: Lane,
    into: Lane,
    retransmitGiveUpMs: number,
    bytesMs: number,
    loop: VirtualLoop,
    lost: () => void,
  ) {
    this.#out = out;
    this.#in = into;
    this.#retransmitGiveUpMs = retransmitGiveUpMs;
    this.#bytesMs = bytesMs;
    this.#loop = loop;
    this.#droppedMs = loop.nowMs;
    this.#lost = lost;
  }

  sent({ kind, bytes, leftMs }: Packet): void {
    if (this.isGone) return;
    if (kind === 'rst') return this.#gone();
    // They stay in the sender's buffer, and a full one makes its writes wait.
    this.#out.bytes += bytes;
    if (this.#unacknowledged) return;
    this.#unacknowledged = true;
    this.#wait(leftMs + this.#retransmitGiveUpMs);
  }

  /** Linux does not probe while bytes are unacknowledged. */
  keepAliveChanged(keepAlive: KeepAlive | null): void {
    if (this.isGone || this.#unacknowledged) return;
    if (keepAlive === null) return this.#cancel();
    const { idleMs, intervalMs, probes, sinceMs } = keepAlive;
    const base = Math.max(this.#bytesMs, sinceMs);
    const answered = Math.max(0, Math.floor((this.#droppedMs - base) / idleMs));
    this.#wait(base + (answered + 1) * idleMs + probes * intervalMs);
  }

  #wait(atMs: number): void {
    this.#cancel();
    this.#entry = this.#loop.schedule(atMs, this.#loop.root, timedOut, this as End);
  }

  timedOut(): void {
    this.#in.inject('timeout', this.#loop.nowMs);
    this.#gone();
  }

  #gone(): void {
    this.close();
    this.#lost();
  }

  #cancel(): void {
    if (this.#entry !== null) this.#loop.cancel(this.#entry);
    this.#entry = null;
  }

  close(): void {
    this.#cancel();
    this.isGone = true;
  }
}
