/**
 * The server's end of a connection. No stream: ten million chunks pass here, and a simulated server has no
 * use for one.
 */
export interface ServerEnd {
  /** The client's port, as the proxy and the server know it. */
  readonly clientPort: number;
  /**
   * Hands a chunk to the network at `atMs` (now unless said; never before one sent earlier). What has not
   * left when the connection is reset or discarded is gone.
   */
  send(chunk: Buffer, atMs?: number): void;
  /** Forgets what was sent but has not left yet. */
  discard(): void;
  /** FIN, after everything sent. What the client still sends may arrive. */
  end(): void;
  /**
   * What the kernel does for a process that exits: FIN after everything sent (RST when bytes were left unread),
   * nothing is heard any more, and what the client still sends is answered with RST.
   */
  close(): void;
  /** RST, at once. */
  reset(): void;
  /** SO_KEEPALIVE with the model's values of the OS; off unless said. Only a `packet` path can tell. */
  setKeepAlive(enable: boolean): void;
  /** Sent and not yet read by the client: a server that would block on a full socket looks here. */
  readonly unreadBytes: number;
  /** Reads no further: the client's bytes pile up on the way, until its writes are told to wait. */
  pause(): void;
  resume(): void;
}

/** What the server's end hears. */
export interface ServerHears {
  data(chunk: Buffer): void;
  /** The client's FIN. */
  end(): void;
  /** RST, or nothing acknowledged for too long; nothing more comes. */
  reset(): void;
}

/** A new connection at a listener. What it hears comes on behalf of the actor that called `listen`. */
export type Accept = (connection: ServerEnd) => ServerHears;

/** `userspace`: a proxy between, whose kernel acknowledges everything. `packet`: a firewall on the wire. */
export type PathKind = 'userspace' | 'packet';

/** The proxy, or firewall, ended a connection. */
export interface PathKill {
  toxic: string;
  link: number;
  clientPort: number;
  atMs: number;
  how: 'drop' | 'fin' | 'rst';
  idleMs: number;
}

/** What the network costs. Every value comes from `model.ts`, where its source stands. */
export interface NetworkModel {
  /** One way, ms, per hop; userspace has two hops, packet one. */
  hopMs: { min: number; max: number };
  /** How often a proxy looks whether the server that refused it is back. */
  redialMs: number;
  /** null: not limited. */
  bytesPerMs: number | null;
  /** Bytes on the way and unread at the other end before writes are told to wait. */
  windowBytes: number;
  /** Linux: 15 retransmissions with doubling pauses. */
  retransmitGiveUpMs: number;
  keepAlive: { idleMs: number; intervalMs: number; probes: number };
  /** What setKeepAlive(true, delay) of Node sets besides the delay. */
  nodeKeepAlive: { intervalMs: number; probes: number };
}
