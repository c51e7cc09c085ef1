import type { Plan } from '../plan.ts';
import { seeded } from '../random.ts';
import { install } from './globals.ts';
import { type Drive, VirtualLoop } from './loop.ts';
import { socketsOf } from './sockets.ts';
import { virtualWorkers } from './workers.ts';
import { type OpenVirtualWorld, openVirtualWorld, virtualNetwork } from './world.ts';

/** Where a trial takes place in virtual time: one loop, one network, this process. */
export function openVirtualPlace({ seed, path, trial }: Plan, drive: Drive = 'burst') {
  const loop = new VirtualLoop({ drive });
  const random = seeded('virtual', seed);
  const clock = loop.clockOf(loop.root);
  const network = virtualNetwork({ loop, random: random.fork('network'), path });
  return {
    clock,
    spawn: virtualWorkers(loop),
    loopDelayMs: () => null,
    openWorld: (options: Pick<OpenVirtualWorld, 'appSlots' | 'settings' | 'events'>) =>
      openVirtualWorld({ ...options, loop, clock, network, trial, random: random.fork('server') }),
    async stay<T>(work: () => Promise<T>): Promise<T> {
      const uninstall = install({ loop, random: random.fork('process'), ...socketsOf(network) });
      try {
        return await loop.run(work);
      } finally {
        uninstall();
      }
    },
  };
}
