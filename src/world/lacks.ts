import { packetLossLack } from './firewall.ts';
import { type ProxyKind, ways } from './ways.ts';
import type { Need } from './world.ts';

/** Why a world will not have what a fault needs. `missing`: this machine has not; else: such a world cannot. */
export interface Lack {
  why: string;
  missing: boolean;
}

const instead: Record<ProxyKind, (no: string) => string> = {
  embedded: no => `cannot be done: ${no}`,
  toxiproxy: no => `cannot be done by a stock Toxiproxy: ${no}; leave out --proxy`,
  virtual: no => `cannot run with --virtual: ${no}; run without --virtual`,
};

/** What keeps a world with such a proxy from having it, on this machine and now; null: nothing. */
export function lackOf(kind: ProxyKind, need: Need): Lack | null {
  const way = ways[need][kind];
  if ('no' in way) return { why: instead[kind](way.no), missing: false };
  if (need !== 'packet-loss') return null;
  const why = packetLossLack();
  return why === null ? null : { why, missing: true };
}
