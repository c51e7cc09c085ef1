/**
 * What a toxic is. A toxic acts on bytes (`stage`: one for each direction it is installed in), on the whole
 * connection (`watch`: one for each connection, whatever `stream` says), on connections to come (`refuses`, `turnAway`,
 * `dialDelayMs`), on several of them, or on nothing (noop).
 * One file per toxic; the barrel is the registry; a toxic imports this file and nothing of its siblings.
 *
 *     source socket > stage > stage > sink socket       a lane: one direction of a link
 */
import type { Clock } from '../../clock.ts';
import type { Random } from '../../random.ts';

/** One attribute as the API takes it. Absent or null: the default. */
export type Attribute =
  | { kind: 'integer'; default: number; min?: number; max?: number; unit?: string }
  | { kind: 'choice'; default: string; of: readonly string[] };

export type Attributes = { [name: string]: number | string };

export interface Toxic<A extends Attributes = Attributes> {
  /** Its name on the wire, and in the registry. */
  type: string;
  attributes: { [K in keyof A]: Attribute };
  stage?(next: Next, attributes: A, tools: Tools, link: WatchedLink): Stage<A>;
  watch?(link: WatchedLink, attributes: A, tools: Tools): Watch<A>;
  /** The lane of its stage, whatever `stream` says. */
  direction?: 'upstream';
  /** It acts on the connections that are open when it is added or updated, not on later ones. */
  openOnly?: true;
  /** The fields of a selection that make sense for it. None given: all. */
  selectable?: readonly SelectField[];
  /** While it is there the listener is shut. */
  refuses?: true;
  /** How a connection that was just accepted ends; null: it does not. Its upstream was not dialed. */
  turnAway?(attributes: A, tools: Pick<Tools, 'shared'>): { how: KillHow; giveUpMs?: number } | null;
  /** How long the dial of the upstream waits after the client came, ms. */
  dialDelayMs?(attributes: A): number;
}

export type SelectField = 'olderThan' | 'idleFor' | 'oldest' | 'newest' | 'clientPort';

/** Time and chance of one toxic on one link (and direction), and what it counts over all links. */
export interface Tools {
  clock: Clock;
  random: Random;
  shared: Shared;
}

/** Of one toxic on one proxy, for as long as it is there. */
export interface Shared {
  count: number;
}

/** What comes after a stage: the next one or the sink. */
export interface Next {
  push(chunk: Buffer): void;
  end(): void;
}

/**
 * First in, first out: a stage may hold, cut or drop, never overtake. While being made it must neither call `next` nor
 * end the link. What it calls may close it.
 */
export interface Stage<A extends Attributes = Attributes> extends Next {
  /** What it keeps in memory, chunk overhead included; the lane stops reading above a limit. */
  readonly heldBytes: number;
  /** New attributes; they hold for what is kept already, too. */
  update(attributes: A): void;
  /** It acts no longer on this link: everything kept goes on now, in order, and then the end if it has come. */
  flush(): void;
  /** The toxic was removed, not only its hold on this link; after `flush`. */
  removed?(): void;
  /** What it keeps goes on only when the toxic leaves, not when the connection is ended: that does not get through. */
  readonly blocks?: boolean;
  /** Nothing more will be asked or taken: forget what is kept, stop every timer. */
  close(): void;
}

/** What one held chunk costs beside its bytes: a Buffer and an entry, measured roughly, so that tiny chunks are bounded too. */
export const chunkOverheadBytes = 256;

/** drop: as a firewall, nobody is told. fin, rst: both sides are. */
export type KillHow = 'drop' | 'fin' | 'rst';

/** A connection as a stage or watch sees it. */
export interface WatchedLink {
  /** When its client came; ms of the clock. */
  readonly acceptedMs: number;
  /** What has come from the upstream. */
  readonly answeredBytes: number;
  /** When the last byte passed in either direction, or when the connection was made; ms of the clock. */
  readonly lastActivityMs: number;
  /** Ends the link, once; later calls do nothing. `giveUpMs` is for drop: from the client's first unanswered byte to its RST. */
  kill(how: KillHow, giveUpMs?: number): void;
}

/** It must not kill while being made: a timer of 0 ms is soon enough. */
export interface Watch<A extends Attributes = Attributes> {
  update(attributes: A): void;
  /** The toxic leaves or the link is gone: stop every timer. */
  close(): void;
}

/** The default of `giveUp`: what Linux takes with 15 retransmissions. */
export const giveUpMsDefault = 924_000;

/** What a timer of Node can wait, about 24.8 days; beyond it, it fires at once. */
export const msMax = 2 ** 31 - 1;
