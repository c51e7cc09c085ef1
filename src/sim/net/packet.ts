import type { Actor, VirtualLoop } from '../loop.ts';
import type { NetworkModel, PathKind } from './contract.ts';
import type { Delay, Direction } from './toxics.ts';

/** `timeout` is no packet: the receiver's own kernel gives up. */
export type Kind = 'data' | 'fin' | 'rst' | 'timeout';

/** On its way: it leaves the sender, comes to the proxy or firewall, goes on from there and arrives. */
export interface Packet {
  kind: Kind;
  /** null: no data, or read. */
  chunk: Buffer | null;
  bytes: number;
  leftMs: number;
  passMs: number;
  onMs: number;
  /** From the proxy on; 0 from a firewall, which stands right before the receiver. */
  hopMs: number;
  arriveMs: number;
  next: Packet | null;
}

/** One end of a connection, as a lane delivers to it. Every call is a step of the loop on behalf of `actor`. */
export interface Receiver {
  readonly actor: Actor;
  /** libuv reports a reset behind unread bytes as an end. */
  readonly libuv: boolean;
  data(chunk: Buffer): void;
  fin(): void;
  /** `asEnd`: the socket is dead, but all that is seen of it is an end. */
  broken(code: 'ECONNRESET' | 'ETIMEDOUT', asEnd: boolean): void;
}

/** What all lanes of a network share. */
export interface Path {
  loop: VirtualLoop;
  kind: PathKind;
  model: NetworkModel;
  delays: { [direction in Direction]: Delay[] };
}

export const later = (a: number, b: number): number => (a > b ? a : b);

/** Goes on as it comes and arrives then, until told otherwise. */
export const packetOf = (kind: Kind, chunk: Buffer | null, leftMs: number, passMs: number): Packet => ({
  kind,
  chunk,
  bytes: chunk === null ? 0 : chunk.length,
  leftMs,
  passMs,
  onMs: passMs,
  hopMs: 0,
  arriveMs: passMs,
  next: null,
});
