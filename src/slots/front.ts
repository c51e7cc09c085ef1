import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { PortListener } from '../proxy/listener.ts';
import { Mirror } from '../proxy/mirror.ts';
import { toxiproxyAt } from '../toxiproxy.ts';
import { IdleLimits, idleType } from './idle.ts';
import type { SlotsCommand, SlotsConfig, SlotsEvent, SlotToxic } from './protocol.ts';
import { Slot, type SlotHost } from './slot.ts';
import { Spares } from './spares.ts';

/** One address in front of a stock Toxiproxy, behind which every connection has a proxy of its own. */
export interface Front {
  /** Rejects when the Toxiproxy does. */
  obey(command: SlotsCommand): Promise<void>;
}

/** Rejects when the port cannot be had. What the Toxiproxy refuses to a connection is an unhandled rejection. */
export async function openFront(
  { url, prefix, port, upstreamPort, rst }: SlotsConfig,
  clock: Clock,
  emit: (event: SlotsEvent) => void,
): Promise<Front> {
  const slots = new Set<Slot>();
  const toxics = new Map<string, SlotToxic>();
  const limits = new IdleLimits(clock);
  const upstream = `127.0.0.1:${upstreamPort}`;
  let count = 0;
  const spares = new Spares({ clock, api: toxiproxyAt(url), prefix, upstream, rst, toxics });
  const host: SlotHost = {
    clock,
    take: () => spares.take(),
    toxics,
    emit,
    opened: slot => limits.opened(slot),
    upstreamEnded: () => void mirror.suspect(),
    closed: slot => {
      limits.closed(slot);
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
  await spares.fill();
  await listener.open();
  const syncAll = () => Promise.all([spares, ...slots].map(each => each.sync()));
  return {
    async obey(command) {
      if (command.do === 'cut') {
        mirror.close();
        listener.shut('stopped');
        await Promise.all([spares.close(), ...[...slots].map(slot => slot.destroy())]);
      } else if (command.do === 'remove') {
        if (!limits.remove(command.name) && !toxics.delete(command.name)) throw new Error('toxic not found');
        await syncAll();
      } else if (command.toxic.type === idleType) limits.add(command.toxic);
      else {
        if (toxics.has(command.toxic.name)) throw new Error('toxic already exists');
        toxics.set(command.toxic.name, command.toxic);
        await syncAll().catch(error => {
          toxics.delete(command.toxic.name);
          throw error;
        });
      }
    },
  };
}
