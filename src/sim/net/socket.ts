import type { Duplex } from 'node:stream';
import { addressOf, targetOf } from './connect-options.ts';
import { hostNotFound, nodeError, socketError } from './errors.ts';
import type { ClientSide } from './link.ts';
import type { Network } from './network.ts';
import { onceConnected, SocketBase, type VirtualSocketOptions } from './socket-base.ts';

type Done = (error?: Error | null) => void;

const finished = (done: Done): void => done();
const failed = ([socket, error]: [VirtualSocket, Error]): void => void socket.destroy(error);

/**
 * A `net.Socket` of the virtual network, in the order and words of node 20's net.js. It belongs to the actor that made
 * it; when that one ends, its peer is reset and nothing is emitted any more.
 */
export class VirtualSocket extends SocketBase {
  readonly #side: ClientSide;
  #reading = false;
  #resetting = false;
  /** A reset that reading did not show: the next write will. */
  #dead: 'ECONNRESET' | 'ETIMEDOUT' | 'EPIPE' | null = null;
  /** The peer's FIN was read; node reads no further then. */
  #isEof = false;
  #withheld: { done: Done; bytes: number } | null = null;
  /** Plain chunks written since `cork`: they go out as one. */
  #corked: Buffer[] = [];

  constructor(network: Network, options: VirtualSocketOptions = {}) {
    super(network, options);
    this.#side = this.#clientSide();
    this.on('end', () => {
      if (!this.allowHalfOpen) this.write = this.#writeAfterFin;
    });
  }

  #clientSide(): ClientSide {
    return {
      actor: this._actor,
      libuv: true,
      connected: () => this.#connected(),
      refused: () => this.#refused(),
      data: chunk => this.#data(chunk),
      fin: () => this.#fin(),
      broken: (code, asEnd) => this.#broken(code, asEnd),
    };
  }

  connect(...given: unknown[]): this {
    const { port, host, timeoutMs, connected } = targetOf(given);
    if (this._hasHandle || this.destroyed)
      throw nodeError('ERR_SOCKET_CLOSED', 'a virtual socket connects once');
    if (connected) this.once('connect', connected);
    if (!this._actor.alive) return this;
    this._actor.belongings.add(this);
    this._hasHandle = true;
    this._port = port;
    this.connecting = true;
    if (timeoutMs > 0) this._timeOutAfter(timeoutMs);
    this._idle.active();
    process.nextTick(() => this.connecting && this.#dial(host));
    return this;
  }

  #dial(host: string): void {
    const address = addressOf(host);
    const { loop } = this._network;
    if (address === null) {
      const error = hostNotFound(host);
      this.emit('lookup', error, undefined, undefined, host);
      loop.schedule(loop.nowMs, this._actor, failed, [this as VirtualSocket, error]);
      return;
    }
    if (host !== address) this.emit('lookup', null, address, 4, host);
    if (!this.connecting) return;
    this.emit('connectionAttempt', address, this._port, 4);
    try {
      this._link = this._network.connect(this._port, this.#side);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #connected(): void {
    if (this.destroyed) return;
    this.connecting = false;
    this._idle.active();
    this._tellKeepAlive();
    this.emit('connect');
    this.emit('ready');
    if (!this.isPaused()) this.read(0);
  }

  #refused(): void {
    if (this.destroyed) return;
    const error = socketError('connect', 'ECONNREFUSED', '127.0.0.1', this._port);
    this.connecting = false;
    this.emit('connectionAttemptFailed', '127.0.0.1', this._port, 4, error);
    this.destroy(error);
  }

  /** Most chunks find a reader that waits for them: these go to it past the Readable's buffer. */
  #data(chunk: Buffer): void {
    this._idle.active();
    const first = this._readBytes === 0;
    this._readBytes += chunk.length;
    if (
      !first &&
      this.readableFlowing === true &&
      this.readableLength === 0 &&
      this.readableEncoding === null &&
      this.listenerCount('data') > 0
    )
      this.emit('data', chunk);
    else if (!this.push(chunk)) {
      this.#reading = false;
      this._link?.down.stop();
    }
  }

  #fin(): void {
    this.#isEof = true;
    this._idle.active();
    this.push(null);
    this.read(0);
  }

  /** After an end nobody reads: then only a write finds out. */
  #broken(code: 'ECONNRESET' | 'ETIMEDOUT', asEnd: boolean): void {
    if (!asEnd && !this.#isEof) return void this.destroy(socketError('read', code));
    // After a FIN Linux turns a RST into EPIPE at once.
    this.#dead = this.#isEof && code === 'ECONNRESET' ? 'EPIPE' : code;
    if (!this.#isEof) this.#fin();
    const waiting = this.#withheld;
    this.#withheld = null;
    waiting?.done(this.#deadError());
  }

  #deadError(): Error {
    const error = socketError('write', this.#dead!);
    this.#dead = 'EPIPE';
    return error;
  }

  override _read(): void {
    if (this.pending) this.once('connect', () => this._read());
    else if (!this.#reading) {
      this.#reading = true;
      this._link?.down.go();
    }
  }

  /** A plain chunk that fits goes out past the Writable's buffer, which would only pass it on. */
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of Writable
  override write(chunk: any, encoding?: any, done?: any): boolean {
    const link = this._link;
    const isPlain =
      link !== null &&
      done === undefined &&
      encoding === undefined &&
      !this.connecting &&
      this.#dead === null &&
      this.writableLength === 0 &&
      !this.writableEnded &&
      chunk instanceof Buffer;
    if (!isPlain || chunk.length === 0 || link.up.bytes + chunk.length > this._network.model.windowBytes) {
      this.#uncorkPlain();
      return super.write(chunk, encoding, done);
    }
    if (this.writableCorked > 0) {
      this.#corked.push(chunk);
      return true;
    }
    // As the kernel: once written the buffer is the writer's again.
    this.#sendPlain(Buffer.from(chunk));
    return true;
  }

  override uncork(): void {
    if (this.writableCorked === 1) this.#uncorkPlain();
    super.uncork();
  }

  #uncorkPlain(): void {
    if (this.#corked.length === 0) return;
    const chunk = Buffer.concat(this.#corked);
    this.#corked = [];
    if (this._link !== null && !this.writableEnded) this.#sendPlain(chunk);
  }

  #sendPlain(chunk: Buffer): void {
    this._idle.active();
    this._sentBytes += chunk.length;
    this._link!.up.send('data', chunk, this._network.loop.nowMs);
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#send(Buffer.from(chunk), done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  #send(chunk: Buffer, done: Done): void {
    if (this.connecting) return onceConnected(this, done, () => this.#send(chunk, done));
    const link = this._link;
    if (link === null) return done(nodeError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    if (this.#dead !== null) return done(this.#deadError());
    this.#sendPlain(chunk);
    if (link.up.bytes <= this._network.model.windowBytes) return done();
    this.#withheld = { done, bytes: chunk.length };
    link.up.whenRoom(() => this.#roomSoon());
  }

  /** The peer's read made room; a hop later the writer goes on. */
  #roomSoon(): void {
    const { loop, model } = this._network;
    loop.schedule(loop.nowMs + model.hopMs.min, this._actor, VirtualSocket.#goOn, this as VirtualSocket);
  }

  static readonly #goOn = (socket: VirtualSocket): void => {
    const waiting = socket.#withheld;
    if (waiting === null) return;
    socket.#withheld = null;
    socket._idle.active();
    waiting.done();
  };

  #writeAfterFin(...given: Parameters<Duplex['write']>): boolean {
    if (!this.writableEnded) return VirtualSocket.prototype.write.apply(this, given);
    const error = nodeError('EPIPE', 'This socket has been ended by the other party');
    for (const each of given.slice(1)) if (typeof each === 'function') process.nextTick(each as Done, error);
    this.destroy(error);
    return false;
  }

  override _final(done: Done): void {
    if (this.pending) return void this.once('connect', () => this._final(done));
    if (this._link === null || this.#dead !== null) return done();
    const { loop } = this._network;
    this._link.up.send('fin', null, loop.nowMs);
    loop.schedule(loop.nowMs, this._actor, finished, done);
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  resetAndDestroy(): this {
    if (!this._hasHandle || this.destroyed)
      return this.destroy(nodeError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    const reset = () => {
      this.#resetting = true;
      this.destroy();
    };
    if (this.connecting) this.once('connect', reset);
    else reset();
    return this;
  }

  override _destroy(error: Error | null, done: Done): void {
    const { loop } = this._network;
    this.connecting = false;
    this._idle.set(0);
    if (!this._hasHandle) {
      done(error);
      process.nextTick(() => this.emit('close', false));
      return;
    }
    this._hasHandle = false;
    this._link?.clientClosed(this.#resetting ? 'reset' : 'close');
    this._link = null;
    loop.schedule(loop.nowMs, this._actor, VirtualSocket.#emitClose, [this as VirtualSocket, error !== null]);
    done(error);
  }

  static readonly #emitClose = ([socket, hadError]: [VirtualSocket, boolean]): void => {
    const waiting = socket.#withheld;
    socket.#withheld = null;
    socket._actor.belongings.delete(socket);
    waiting?.done(null);
    socket.emit('close', hadError);
  };

  /** Its actor has ended. */
  ended(): void {
    this.emit = () => false;
    this._idle.set(0);
    this._link?.clientClosed('reset');
    this._link = null;
  }

  get bytesWritten(): number {
    return this._sentBytes + this.writableLength - (this.#withheld?.bytes ?? 0);
  }
}
