import type { Clock } from './clock.ts';
import { type Guardian, openGuardian } from './guardian/guardian.ts';
import type { Plan } from './plan.ts';
import type { RunEdges, RunRequest } from './request.ts';
import { openVirtualPlace } from './sim/place.ts';
import type { SpawnWorker } from './soak/link.ts';
import { processWorkers } from './soak/process-link.ts';
import { type OpenWorld, openWorld } from './world/open.ts';
import type { ProxyChoice } from './world/proxies/proxy.ts';
import type { World } from './world/world.ts';

/** Where trials take place: in real time, with processes, or in virtual time, within this one. */
export interface Place {
  clock: Clock;
  spawn: SpawnWorker;
  /** p99 of the harness's own event loop since the last call; null where there is none to speak of. */
  loopDelayMs(): number | null;
  /** How the trial is stopped, and stops: the run's own, or what stands for it there. */
  stopOf(outer: Pick<AbortController, 'signal' | 'abort'>): Pick<AbortController, 'signal' | 'abort'>;
  openWorld(options: Omit<OpenWorld, 'clock' | 'guardian' | 'proxy'>): Promise<World>;
  /** The trial happens in here. */
  stay<T>(trial: (place: Place) => Promise<T>): Promise<T>;
}

/** One for each trial; what they share is opened with the first and closed at the end. */
export interface Places {
  of(plan: Plan): Place;
  close(): Promise<void>;
}

export async function openPlaces({ virtual, proxy }: RunRequest, edges: RunEdges): Promise<Places> {
  if (virtual !== null)
    return { of: plan => openVirtualPlace(plan, edges.drive), close: () => Promise.resolve() };
  const guardian = await openGuardian({ clock: edges.clock });
  return { of: () => realPlace(guardian, proxy, edges), close: guardian.close };
}

function realPlace(
  guardian: Guardian,
  proxy: ProxyChoice = { kind: 'embedded' },
  { clock, loopDelayMs }: RunEdges,
): Place {
  const place: Place = {
    clock,
    spawn: processWorkers(guardian),
    loopDelayMs,
    stopOf: outer => outer,
    openWorld: options => openWorld({ ...options, clock, guardian, proxy }),
    stay: trial => trial(place),
  };
  return place;
}
