/**
 * Between the harness and the process in front of a stock Toxiproxy: one JSON object a line, commands on its standard
 * input (whose end is its sign to leave), events on descriptor 3.
 */

/** Its only argument, as JSON. */
export interface SlotsConfig {
  /** Of the Toxiproxy's API. */
  url: string;
  /** How the names of our proxies on it begin. */
  prefix: string;
  /** Where it listens, on 127.0.0.1. */
  port: number;
  upstreamPort: number;
  /** A kill with RST must be prepared before a connection is made. */
  rst: boolean;
}

export interface SlotToxic {
  name: string;
  type: string;
  stream: 'upstream' | 'downstream';
  attributes: Record<string, unknown>;
}

export type SlotsCommand =
  | { id: number; do: 'add'; toxic: SlotToxic }
  | { id: number; do: 'remove'; name: string }
  /** Destroys every link and its proxy; no new ones afterwards. */
  | { id: number; do: 'cut' };

export type SlotsEvent =
  | { ev: 'listening' }
  | { ev: 'done'; id: number; error: string | null }
  | {
      ev: 'kill';
      toxic: string;
      link: number;
      clientPort: number;
      /** CLOCK_MONOTONIC ms. */
      at: number;
      how: 'drop' | 'fin' | 'rst';
      idleMs: number;
    };
