import type { Clock } from '../clock.ts';
import type { Plan } from '../plan.ts';
import { seeded } from '../random.ts';
import type { SpawnWorker } from '../soak/link.ts';
import type { World } from '../world/world.ts';
import { collectWorld } from './collect.ts';
import { install } from './globals.ts';
import { type Drive, VirtualLoop } from './loop.ts';
import { socketsOf } from './sockets.ts';
import { virtualWorkers } from './workers.ts';
import { type OpenVirtualWorld, openVirtualWorld, virtualNetwork } from './world.ts';

/** Where a trial takes place in virtual time: one loop, one network, this process. */
export interface VirtualPlace {
  clock: Clock;
  spawn: SpawnWorker;
  loopDelayMs(): null;
  openWorld(options: Pick<OpenVirtualWorld, 'appSlots' | 'settings' | 'events'>): Promise<World>;
  /** Asked to stop from outside the virtual world, it is told in a step, as everything in there. */
  stopOf(outer: Stop): Stop;
  /** Time, chance and sockets of this process are the virtual world's until the trial is over. */
  stay<T>(trial: (place: VirtualPlace) => Promise<T>): Promise<T>;
}

type Stop = Pick<AbortController, 'signal' | 'abort'>;

export function openVirtualPlace({ seed, path, trial }: Plan, drive: Drive = 'burst'): VirtualPlace {
  const loop = new VirtualLoop({ drive });
  const random = seeded('virtual', seed);
  const clock = loop.clockOf(loop.root);
  const network = virtualNetwork({ loop, random: random.fork('network'), path });
  let stopRelay = () => {};
  const place: VirtualPlace = {
    clock,
    spawn: virtualWorkers(loop, random.fork('workers')),
    loopDelayMs: () => null,
    openWorld: options =>
      openVirtualWorld({ ...options, loop, clock, network, trial, random: random.fork('server') }),
    stopOf(outer) {
      const inner = new AbortController();
      stopRelay = relay(loop, outer, inner);
      return {
        signal: inner.signal,
        abort: reason => {
          inner.abort(reason);
          if (!outer.signal.aborted) outer.abort(reason);
        },
      };
    },
    async stay(work) {
      const uninstall = install({ loop, random: random.fork('process'), ...socketsOf(network) });
      try {
        return await loop.run(() => work(place));
      } finally {
        uninstall();
        stopRelay();
        collectWorld();
      }
    },
  };
  return place;
}

/** Returns what ends it: the outer signal lives longer than a trial. */
function relay(loop: VirtualLoop, outer: Stop, inner: AbortController): () => void {
  const tell = () =>
    void loop.schedule(loop.nowMs, loop.root, () => inner.abort(outer.signal.reason), undefined);
  if (outer.signal.aborted) inner.abort(outer.signal.reason);
  outer.signal.addEventListener('abort', tell, { once: true });
  return () => outer.signal.removeEventListener('abort', tell);
}
