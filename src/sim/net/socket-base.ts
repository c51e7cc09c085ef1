import { Duplex, type DuplexOptions } from 'node:stream';
import type { Actor } from '../loop.ts';
import { nodeError } from './errors.ts';
import { IdleTimer } from './idle-timer.ts';
import type { Link } from './link.ts';
import type { Network } from './network.ts';

export interface VirtualSocketOptions extends Omit<DuplexOptions, 'objectMode'> {
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  onread?: unknown;
}

const loopback = { address: '127.0.0.1', family: 'IPv4' };

/** What a socket is told and asked beside its bytes. */
export abstract class SocketBase extends Duplex {
  connecting = false;
  /** A TLS socket on top walks down to here when it is active. */
  readonly _parent = null;
  /** What setTimeout was given, ms. */
  timeout: number | undefined;
  protected readonly _network: Network;
  protected readonly _actor: Actor;
  protected readonly _idle: IdleTimer;
  /** From `connect` until it is destroyed. */
  protected _hasHandle = false;
  /** null before it has dialed and once it is destroyed. */
  protected _link: Link | null = null;
  protected _port = 0;
  protected _sentBytes = 0;
  protected _readBytes = 0;
  #keepAlive = { enable: false, delaySeconds: 0 };

  constructor(network: Network, { allowHalfOpen = false, onread, ...rest }: VirtualSocketOptions) {
    super({ ...rest, allowHalfOpen, emitClose: false, autoDestroy: true });
    if (onread) throw nodeError('ERR_INVALID_ARG_VALUE', 'a virtual socket has no option onread');
    this._network = network;
    this._actor = network.loop.owner('socket');
    this._idle = new IdleTimer(network.loop, this._actor, () => this.emit('timeout'));
    if (rest.keepAlive) this.setKeepAlive(true, rest.keepAliveInitialDelay);
  }

  setTimeout(ms: number, act?: () => void): this {
    if (this.destroyed) return this;
    if (typeof ms !== 'number' || !(ms >= 0) || !Number.isFinite(ms)) {
      const error = new RangeError(`The value of "msecs" is out of range. Received ${String(ms)}`);
      throw Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
    }
    this._timeOutAfter(ms);
    if (act !== undefined && ms === 0) this.removeListener('timeout', act);
    else if (act !== undefined) this.once('timeout', act);
    return this;
  }

  protected _timeOutAfter(ms: number): void {
    this.timeout = ms;
    this._idle.set(ms);
  }

  setKeepAlive(enable?: boolean, delayMs?: number): this {
    // As node: whole seconds, and 0 of them leaves the OS its own values.
    this.#keepAlive = { enable: Boolean(enable), delaySeconds: ~~((delayMs ?? 0) / 1000) };
    if (!this.pending) this._tellKeepAlive();
    return this;
  }

  protected _tellKeepAlive(): void {
    const { enable, delaySeconds } = this.#keepAlive;
    const { keepAlive, nodeKeepAlive } = this._network.model;
    const values = delaySeconds > 0 ? { ...nodeKeepAlive, idleMs: delaySeconds * 1000 } : keepAlive;
    this._link?.setKeepAlive('client', enable ? values : null);
  }

  /** Nothing waits for more bytes here anyway. */
  setNoDelay(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  get pending(): boolean {
    return !this._hasHandle || this.connecting;
  }

  get readyState(): string {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  get bytesRead(): number {
    return this._readBytes;
  }

  address(): { address?: string; family?: string; port?: number } {
    return this._link === null ? {} : { ...loopback, port: this._link.clientPort };
  }

  get localAddress(): string | undefined {
    return this.address().address;
  }

  get localPort(): number | undefined {
    return this._link?.clientPort;
  }

  get localFamily(): string | undefined {
    return this.address().family;
  }

  get remoteAddress(): string | undefined {
    return this.connecting ? undefined : this.address().address;
  }

  get remotePort(): number | undefined {
    return this._link === null || this.connecting ? undefined : this._port;
  }

  get remoteFamily(): string | undefined {
    return this.connecting ? undefined : this.address().family;
  }
}

/** `write` once it is connected; `done` with an error when it closes before. */
export function onceConnected(socket: Duplex, done: (error: Error) => void, write: () => void): void {
  const connected = () => {
    socket.off('close', closed);
    write();
  };
  const closed = () =>
    done(
      nodeError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established'),
    );
  socket.once('connect', connected);
  socket.once('close', closed);
}
