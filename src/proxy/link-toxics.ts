import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { hits, type InstalledToxic } from './installed-toxic.ts';
import type { Lane } from './lane.ts';
import { leftMs } from './select.ts';
import type { Attributes, Watch, WatchedLink } from './toxics/toxic.ts';

/** The open link they act on. */
export interface ToxicTarget {
  id: number;
  clientPort: number;
  lanes: { upstream: Lane; downstream: Lane };
  clock: Clock;
  random: Random;
  /** The link in the eyes of the toxic of this name. */
  seenBy(toxic: string): WatchedLink;
}

/** The toxics that act on one open link, and those that will when their selection fits. */
export class LinkToxics {
  readonly #link: ToxicTarget;
  readonly #acting = new Set<string>();
  readonly #watches = new Map<string, Watch>();
  /** What stops the looking. */
  readonly #waits = new Map<string, () => void>();

  constructor(link: ToxicTarget) {
    this.#link = link;
  }

  get names(): string[] {
    return [...this.#acting];
  }

  /** Whether the selection fits now. */
  fits({ name, select, victims }: InstalledToxic): boolean {
    if (victims !== null) return victims.has(this.#link.id);
    return leftMs(select, this.#link.seenBy(name), this.#link.clock.nowMs()) === 0;
  }

  /** `live`: the link was open before the toxic came or changed. */
  install(toxic: InstalledToxic, live: boolean): void {
    const { openOnly } = toxic.toxic;
    if (isForNewOnly(toxic) || (openOnly && !live) || !hits(this.#link.random, toxic, this.#link)) return;
    if (this.fits(toxic)) this.#apply(toxic);
    else if (toxic.victims === null && !openOnly) this.#await(toxic);
  }

  /** `reselect`: its selection was made anew. Else who was chosen stays so. */
  update(toxic: InstalledToxic, reselect: boolean): void {
    const { name, direction, attributes } = toxic;
    const { random, lanes } = this.#link;
    if (!hits(random, toxic, this.#link) || (reselect && !this.fits(toxic)))
      this.uninstall(toxic, 'released');
    if (!this.#acting.has(name)) {
      this.#stopWait(name);
      return this.install(toxic, true);
    }
    const parts: ({ update(attributes: Attributes): void } | undefined)[] = [
      lanes[direction].get(name),
      this.#watches.get(name),
    ];
    for (const part of parts) part?.update(attributes);
  }

  /** `why`: the toxic is gone, or only its hold on this link. */
  uninstall({ name, direction }: InstalledToxic, why: 'removed' | 'released'): void {
    this.#stopWait(name);
    this.#acting.delete(name);
    this.#watches.get(name)?.close();
    this.#watches.delete(name);
    this.#link.lanes[direction].remove(name, why);
  }

  /** Stops every timer; the lanes are the link's to close. */
  close(): void {
    for (const watch of this.#watches.values()) watch.close();
    for (const stop of this.#waits.values()) stop();
    this.#watches.clear();
    this.#waits.clear();
  }

  #apply(toxic: InstalledToxic): void {
    const { name, direction, attributes, shared } = toxic;
    const { id, clock, lanes, random } = this.#link;
    const tools = { clock, shared, random: random.fork('draws', name, id, direction) };
    const { stage, watch } = toxic.toxic;
    const seen = this.#link.seenBy(name);
    this.#acting.add(name);
    if (stage !== undefined) lanes[direction].add(name, next => stage(next, attributes, tools, seen));
    if (watch !== undefined) this.#watches.set(name, watch(seen, attributes, tools));
  }

  /** One timer, set anew only when it fires: traffic costs nothing but its time stamp. */
  #await(toxic: InstalledToxic): void {
    const { clock } = this.#link;
    const seen = this.#link.seenBy(toxic.name);
    const look = () => {
      const waitMs = leftMs(toxic.select, seen, clock.nowMs());
      this.#waits.delete(toxic.name);
      if (waitMs === 0) this.#apply(toxic);
      else this.#waits.set(toxic.name, clock.after(Math.ceil(waitMs), look));
    };
    look();
  }

  #stopWait(name: string): void {
    this.#waits.get(name)?.();
    this.#waits.delete(name);
  }
}

const isForNewOnly = ({ toxic: { stage, watch, refuses, turnAway, dialDelayMs } }: InstalledToxic): boolean =>
  !stage && !watch && Boolean(refuses || turnAway || dialDelayMs);
