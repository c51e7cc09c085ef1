import type { z } from 'zod';
import type { Need, World } from '../world/world.ts';

/** outage: the service is gone for a while. ambient: it is there, conditions are bad. */
export type FaultKind = 'outage' | 'ambient';

export interface Fault {
  name: string;
  /** One line for `poolsoak list`. */
  summary: string;
  kind: FaultKind;
  /** Settings as a scenario writes them; durations are strings. */
  settings: z.ZodObject;
  /** Settings that are durations: they scale with the speed. */
  durations: readonly string[];
  needs: readonly Need[];
  /** A healthy SELECT 1 is slower or fails while it lasts, so the machine cannot be judged by one. */
  disturbsProbe: boolean;
  /** How long it lasts by its own settings (scaled ms); null: until the timeline says. */
  lastsMs(settings: Record<string, unknown>): number | null;
  /** `id` names this fault in the plan, and its toxics. The heal may be called once, whatever happened. */
  inject(world: World, id: string, settings: Record<string, unknown>, signal: AbortSignal): Promise<Heal>;
}
export type Heal = () => Promise<void>;
