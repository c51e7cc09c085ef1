import type { Random } from '../../random.ts';
import type { Entry } from '../loop.ts';
import { Delays } from './delays.ts';
import { type Kind, later, type Packet, type Path, packetOf, type Receiver } from './packet.ts';
import type { Delay, Direction } from './toxics.ts';

/** What libuv reads at once. */
const readBytes = 65_536;

const step = (lane: Lane): void => lane.deliver();

/**
 * One direction of a connection, first in first out whatever is drawn. All its times are known when a chunk is sent,
 * so that a chunk costs one step: its arrival.
 */
export class Lane {
  /** Sent and not read at the other end. */
  bytes = 0;
  /** A RST that will be seen as one was sent. */
  isReset = false;
  /** A RST was sent that the proxy took for an end: it finds out when it writes there. */
  isResetHidden = false;
  /** The sender has ended its side. */
  isEndSent = false;
  readonly #path: Path;
  readonly #delays: Delays;
  readonly #random: Random;
  readonly #over: (kind: Kind) => void;
  #receiver: Receiver;
  #head: Packet | null = null;
  /** Nothing overtakes these: what was sent last, and what was delivered last. */
  #last = packetOf('data', null, 0, 0);
  #delivered = this.#last;
  #entry: Entry | null = null;
  #stopped = false;
  #activeMs = 0;
  #readMs = -1;
  #sunk: ((packet: Packet) => void) | null = null;
  #room: (() => void) | null = null;

  /** `over` is told when a FIN or what broke the lane was delivered. */
  constructor(
    path: Path,
    direction: Direction,
    receiver: Receiver,
    random: Random,
    over: (kind: Kind) => void,
  ) {
    this.#path = path;
    this.#delays = new Delays(path, direction, random);
    this.#receiver = receiver;
    this.#random = random.fork(direction);
    this.#over = over;
  }

  hopMs(): number {
    const { min, max } = this.#path.model.hopMs;
    return min + (max - min) * this.#random.next();
  }

  /** When what the kernel itself sends at `atMs` (SYN, SYN-ACK) is through the first hop. */
  handshakeMs(atMs: number): number {
    const ms = atMs + this.hopMs();
    return this.#path.kind === 'packet' ? this.#delays.all(ms) : ms;
  }

  /** Nothing passes before the one, nothing arrives before the other. */
  opens(passMs: number, arriveMs: number): void {
    this.#activeMs = passMs;
    this.#delivered = { ...packetOf('data', null, 0, passMs), arriveMs };
    this.#last = this.#delivered;
  }

  send(kind: Kind, chunk: Buffer | null, atMs: number): void {
    const last = this.#last;
    const { bytesPerMs } = this.#path.model;
    const bytes = chunk === null ? 0 : chunk.length;
    if (bytes > readBytes) return this.#sendParts(chunk!, atMs);
    let leftMs = later(atMs, last.leftMs);
    if (bytesPerMs !== null) leftMs += bytes / bytesPerMs;
    const passMs = later(leftMs + this.hopMs(), last.passMs);
    const packet = packetOf(kind, chunk, leftMs, passMs);
    if (kind === 'fin') this.isEndSent = true;
    if (this.#sunk !== null) return this.#sunk(packet);
    if (kind === 'rst') this.#resetAfter(last, packet);
    if (this.#path.kind === 'userspace') packet.hopMs = this.hopMs();
    packet.onMs = later(this.#delays.holds(packet.kind) ? this.#delays.all(passMs) : passMs, last.onMs);
    packet.arriveMs = later(packet.onMs + packet.hopMs, last.arriveMs);
    this.bytes += bytes;
    this.#append(packet);
  }

  #sendParts(chunk: Buffer, atMs: number): void {
    for (let at = 0; at < chunk.length; at += readBytes)
      this.send('data', chunk.subarray(at, at + readBytes), atMs);
  }

  /** From the proxy or firewall itself, at `atMs`, or of the receiver's own kernel. */
  inject(kind: Kind, atMs: number): void {
    const hopMs = kind === 'timeout' ? 0 : this.hopMs();
    if (kind === 'rst') this.isReset = true;
    const packet = packetOf(kind, null, atMs, later(atMs, this.#last.onMs));
    packet.hopMs = hopMs;
    packet.arriveMs = later(atMs + hopMs, this.#last.arriveMs);
    this.#append(packet);
  }

  /** The proxy is a libuv program, too: a reset it finds behind bytes it has not read is an end to it. */
  #resetAfter(last: Packet, packet: Packet): void {
    const unseen = last.kind === 'data' && last.bytes > 0 && packet.leftMs <= last.passMs;
    if (this.#path.kind !== 'userspace' || !unseen) this.isReset = true;
    else {
      packet.kind = 'fin';
      this.isResetHidden = true;
    }
  }

  #append(packet: Packet): void {
    if (this.#head === null) {
      this.#head = packet;
      if (!this.#stopped) this.#arm(packet);
    } else this.#last.next = packet;
    this.#last = packet;
  }

  #arm(head: Packet): void {
    this.#entry = this.#path.loop.schedule(head.arriveMs, this.#receiver.actor, step, this as Lane);
  }

  #rearm(): void {
    if (this.#entry !== null) this.#path.loop.cancel(this.#entry);
    this.#entry = null;
    if (this.#head !== null && !this.#stopped) this.#arm(this.#head);
  }

  /** The step of an arrival; nobody else calls it. */
  deliver(): void {
    this.#entry = null;
    const packet = this.#head;
    if (packet === null || this.#stopped) return;
    const { chunk, next } = packet;
    this.#delivered = packet;
    this.#head = next;
    if (next !== null) this.#arm(next);
    if (chunk === null) return this.#deliverEnd(packet);
    packet.chunk = null;
    this.#activeMs = packet.onMs;
    this.#readMs = this.#path.loop.nowMs;
    this.bytes -= packet.bytes;
    this.#receiver.data(chunk);
    if (this.#room !== null) this.#makeRoom();
  }

  #deliverEnd({ kind, onMs }: Packet): void {
    const receiver = this.#receiver;
    const asEnd = kind === 'rst' && receiver.libuv && this.#readMs >= onMs;
    if (kind === 'fin') receiver.fin();
    else receiver.broken(kind === 'timeout' ? 'ETIMEDOUT' : 'ECONNRESET', asEnd);
    this.#over(kind);
  }

  /** The receiver reads no further; bytes pile up. */
  stop(): void {
    this.#stopped = true;
  }

  go(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    if (this.#entry === null && this.#head !== null) this.#arm(this.#head);
  }

  /** Somebody else receives from here on, and reads. */
  handTo(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#stopped = false;
    this.#rearm();
  }

  /** Bytes have arrived and wait to be read. */
  get hasUnread(): boolean {
    const head = this.#head;
    return head !== null && head.kind === 'data' && head.arriveMs <= this.#path.loop.nowMs;
  }

  /** Calls once, soon, when the bytes on the way fit the window again. */
  whenRoom(act: () => void): void {
    this.#room = act;
  }

  #makeRoom(): void {
    if (this.bytes > this.#path.model.windowBytes) return;
    const act = this.#room;
    this.#room = null;
    act?.();
  }

  /** Forgets what has not left the sender. */
  discard(): void {
    const { nowMs } = this.#path.loop;
    let gone = this.#cutFrom(packet => packet.leftMs > nowMs);
    for (; gone !== null; gone = gone.next) this.bytes -= gone.bytes;
    this.#rearm();
  }

  /**
   * From now on nothing passes. What is beyond the proxy arrives; what it holds is lost, or with `flush` goes on;
   * what comes to it later, now on its way or not sent yet, is told to `sunk`.
   */
  sever(flush: boolean, sunk: (packet: Packet) => void): void {
    const { nowMs } = this.#path.loop;
    if (flush) this.#retime(packet => (packet.passMs <= nowMs ? nowMs : packet.onMs));
    let gone = this.#cutFrom(packet => packet.onMs > nowMs);
    this.#sunk = sunk;
    while (gone !== null) {
      const { next } = gone;
      this.bytes -= gone.bytes;
      if (gone.passMs > nowMs) sunk(gone);
      gone = next;
    }
    if (this.#room !== null) this.#makeRoom();
    this.#rearm();
  }

  /** Takes the tail from the first such packet on; `from` holds for all that follow one it holds for. */
  #cutFrom(from: (packet: Packet) => boolean): Packet | null {
    let last: Packet | null = null;
    let at = this.#head;
    while (at !== null && !from(at)) {
      last = at;
      at = at.next;
    }
    if (at === null) return null;
    if (last === null) this.#head = null;
    else last.next = null;
    this.#last = last ?? this.#delivered;
    return at;
  }

  /** A new last stage of the proxy: all that has not left it passes through. */
  delayAdded(delay: Delay): void {
    this.#retime(packet =>
      this.#delays.holds(packet.kind) ? this.#delays.by(delay, packet.onMs) : packet.onMs,
    );
    this.#rearm();
  }

  /** A stage has left: what only it held goes on now. */
  delayRemoved(): void {
    const { nowMs } = this.#path.loop;
    this.#retime(({ kind, passMs }) =>
      later(this.#delays.holds(kind) ? this.#delays.all(passMs) : passMs, nowMs),
    );
    this.#rearm();
  }

  /** New times for all that has not gone on yet. */
  #retime(onMs: (packet: Packet) => number): void {
    const { nowMs } = this.#path.loop;
    let before = this.#delivered;
    for (let at = this.#head; at !== null; at = at.next) {
      if (at.onMs > nowMs) {
        at.onMs = later(onMs(at), before.onMs);
        at.arriveMs = later(at.onMs + at.hopMs, before.arriveMs);
      }
      before = at;
    }
  }

  /** When bytes last passed the proxy or firewall. */
  get activeMs(): number {
    const { nowMs } = this.#path.loop;
    let ms = this.#activeMs;
    for (let at = this.#head; at !== null && at.passMs <= nowMs; at = at.next)
      if (at.kind === 'data') ms = at.onMs <= nowMs ? at.onMs : later(ms, at.passMs);
    return ms;
  }

  /** The sender's FIN has come to the proxy or firewall. */
  get isEnded(): boolean {
    const { nowMs } = this.#path.loop;
    if (this.#delivered.kind === 'fin') return true;
    for (let at = this.#head; at !== null && at.passMs <= nowMs; at = at.next)
      if (at.kind === 'fin') return true;
    return false;
  }
}
