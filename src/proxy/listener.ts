import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Clock, waitUntil } from '../clock.ts';
import { type Address, addressText } from './address.ts';
import { ApiError } from './api-error.ts';
import { socketOptions } from './sockets.ts';

const reopenLimitMs = 30_000;
const reopenEveryMs = 10;

/** Far more than a pool opens; one more is accepted by the kernel and closed. */
export const connectionsMax = 10_000;

/** Why it is shut: the upstream refuses (`mirror`), a toxic wants it, or it is over. */
export type ShutReason = 'upstream' | 'toxic' | 'stopped';

/**
 * A listening port that can be shut and opened again while its number stays the same. It is open while there is no
 * reason to be shut.
 */
export class PortListener {
  readonly #clock: Clock;
  readonly #accepted: (client: Socket) => void;
  #server: Server | null = null;
  readonly #shutFor = new Set<ShutReason>();
  readonly #connectionsMax: number;
  /** With the real port once it was open. */
  address: Address;
  /** Clients that were one too many. */
  overCount = 0;

  constructor(address: Address, clock: Clock, accepted: (client: Socket) => void, most = connectionsMax) {
    this.address = address;
    this.#connectionsMax = most;
    this.#clock = clock;
    this.#accepted = accepted;
  }

  async open(): Promise<void> {
    const server = await listening(this.address, this.#accepted);
    server.maxConnections = this.#connectionsMax;
    server.on('drop', () => {
      this.overCount += 1;
    });
    // Shut, or opened by another call, in between.
    if (this.#shutFor.size > 0 || this.isOpen) return void server.close();
    this.#server = server;
    this.address = { ...this.address, port: (server.address() as AddressInfo).port };
  }

  get isOpen(): boolean {
    return this.#server !== null;
  }

  shut(reason: ShutReason): void {
    this.#shutFor.add(reason);
    this.#server?.close();
    this.#server = null;
  }

  /** The reason is gone. Somebody else may have been given the port in between: it is asked for again until a limit. */
  async reopen(reason: ShutReason): Promise<void> {
    this.#shutFor.delete(reason);
    if (this.#shutFor.size > 0 || this.isOpen) return;
    let last: unknown;
    const attempt = () =>
      this.open().then(
        () => true,
        (error: unknown) => {
          last = error;
          return this.#shutFor.size > 0 || this.isOpen;
        },
      );
    const waited = await waitUntil(this.#clock, attempt, { everyMs: reopenEveryMs, limitMs: reopenLimitMs });
    if (waited !== 'met') throw new Error(`no listener again within ${reopenLimitMs} ms`, { cause: last });
  }
}

function listening(address: Address, accepted: (client: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socketOptions, accepted);
    const refuse = (error: NodeJS.ErrnoException) => reject(listenError(address, error));
    server.once('error', refuse);
    server.listen({ ...address }, () => {
      server.off('error', refuse);
      // An accept that fails for want of a descriptor is that client's misfortune, not the end of the proxy.
      server.on('error', () => {});
      resolve(server);
    });
  });
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'address already in use',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'cannot assign requested address',
};

/** In the words of Toxiproxy. */
export function listenError(address: Address, error: NodeJS.ErrnoException): ApiError {
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new ApiError(500, `listen tcp ${addressText(address)}: bind: ${reason}`);
}
