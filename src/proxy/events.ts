import type { KillHow } from './toxics/toxic.ts';

/** What the proxy tells its parent: one JSON object a line. Times are CLOCK_MONOTONIC ms. */
export type ProxyEvent = ListeningEvent | KillEvent;

/** The API answers. `seed` is what every draw of this process comes from. */
export interface ListeningEvent {
  ev: 'listening';
  host: string;
  port: number;
  seed: string;
}

/** A toxic ended a connection. */
export interface KillEvent {
  ev: 'kill';
  proxy: string;
  toxic: string;
  link: number;
  clientPort: number;
  at: number;
  how: KillHow;
  idleMs: number;
}

export type Emit = (event: ProxyEvent) => void;
