import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { PortListener } from '../proxy/listener.ts';
import { Mirror } from '../proxy/mirror.ts';
import { idleTimeout } from '../proxy/toxics/idle-timeout.ts';
import type { Watch } from '../proxy/toxics/toxic.ts';
import { seeded } from '../random.ts';
import { toxiproxyAt } from '../toxiproxy.ts';
import type { SlotsCommand, SlotsConfig, SlotsEvent, SlotToxic } from './protocol.ts';
import { type KillHow, Slot, type SlotHost } from './slot.ts';

/** One address in front of a stock Toxiproxy, behind which every connection has a proxy of its own. */
export interface Front {
  /** Rejects when the Toxiproxy does. */
  obey(command: SlotsCommand): Promise<void>;
}

type IdleAttributes = { timeout: number; how: KillHow; giveUp: number };

/** A toxic of ours alone, which this process does itself. */
const isOurs = ({ type }: SlotToxic): boolean => type === idleTimeout.type;

/** Rejects when the port cannot be had. What the Toxiproxy refuses to a connection is an unhandled rejection. */
export async function openFront(
  { url, prefix, port, upstreamPort, rst }: SlotsConfig,
  clock: Clock,
  emit: (event: SlotsEvent) => void,
): Promise<Front> {
  const slots = new Set<Slot>();
  const toxics = new Map<string, SlotToxic>();
  const watches = new Watches(clock);
  const upstream = `127.0.0.1:${upstreamPort}`;
  let count = 0;
  const host: SlotHost = {
    clock,
    api: toxiproxyAt(url),
    prefix,
    upstream,
    rst,
    toxics,
    emit,
    opened: slot => watches.opened(slot),
    upstreamEnded: () => void mirror.suspect(),
    closed: slot => {
      watches.closed(slot);
      slots.delete(slot);
    },
  };
  const accept = (client: Socket) => {
    const slot = new Slot(++count, client, host);
    slots.add(slot);
    void slot.open();
  };
  const listener = new PortListener({ host: '127.0.0.1', port }, clock, accept);
  const mirror = new Mirror(upstream, listener.only('upstream'), clock);
  await listener.open();
  const syncAll = () => Promise.all([...slots].map(slot => slot.sync()));
  return {
    async obey(command) {
      if (command.do === 'cut') {
        mirror.close();
        listener.shut('stopped');
        await Promise.all([...slots].map(slot => slot.destroy()));
      } else if (command.do === 'remove') {
        if (!watches.remove(command.name) && !toxics.delete(command.name)) throw new Error('toxic not found');
        await syncAll();
      } else if (isOurs(command.toxic)) watches.add(command.toxic);
      else {
        toxics.set(command.toxic.name, command.toxic);
        await syncAll();
      }
    },
  };
}

/** The idle limits there are, and their timers on every open connection. */
class Watches {
  readonly #clock: Clock;
  readonly #limits = new Map<string, SlotToxic>();
  readonly #open = new Map<Slot, Map<string, Watch>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(toxic: SlotToxic): void {
    this.#limits.set(toxic.name, toxic);
    for (const slot of this.#open.keys()) this.#watch(slot, toxic);
  }

  /** Whether there was one. */
  remove(name: string): boolean {
    for (const watches of this.#open.values()) {
      watches.get(name)?.close();
      watches.delete(name);
    }
    return this.#limits.delete(name);
  }

  opened(slot: Slot): void {
    this.#open.set(slot, new Map());
    for (const toxic of this.#limits.values()) this.#watch(slot, toxic);
  }

  closed(slot: Slot): void {
    for (const watch of this.#open.get(slot)?.values() ?? []) watch.close();
    this.#open.delete(slot);
  }

  #watch(slot: Slot, { name, attributes }: SlotToxic): void {
    const seen = {
      acceptedMs: slot.acceptedMs,
      get answeredBytes() {
        return slot.answeredBytes;
      },
      get lastActivityMs() {
        return slot.lastActivityMs;
      },
      kill: (how: KillHow, giveUpMs = 0) => void slot.kill(name, how, giveUpMs),
    };
    const tools = { clock: this.#clock, random: seeded('slots', slot.id), shared: { count: 0 } };
    this.#open.get(slot)!.set(name, idleTimeout.watch!(seen, attributes as IdleAttributes, tools));
  }
}
