import { aboveLimit, missingField, proxyExists, proxyNotFound } from './api-error.ts';
import { FaultProxy, type Surroundings } from './fault-proxy.ts';
import type { Body } from './fields.ts';
import { flag, text } from './fields.ts';
import { populationOf, type Wanted, wantedOf } from './wanted.ts';

/** More than there are ports to think about. */
export const proxiesMax = 1000;

/** All proxies of this process. Changes that wait for a port are made one after the other, as under Toxiproxy's lock. */
export class Proxies {
  readonly #surroundings: Surroundings;
  readonly #byName = new Map<string, FaultProxy>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** By name, as Toxiproxy lists them. */
  all(): FaultProxy[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): FaultProxy {
    const proxy = this.#byName.get(name);
    if (proxy === undefined) throw proxyNotFound();
    return proxy;
  }

  create(body: Body): Promise<FaultProxy> {
    const wanted = wantedOf(body);
    if (wanted.name === '') throw missingField('name');
    if (wanted.settings.upstream === '') throw missingField('upstream');
    return this.#inTurn(async () => {
      if (this.#byName.has(wanted.name)) throw proxyExists();
      return this.#open(wanted);
    });
  }

  /**
   * Makes the proxies of a list be there; those it does not name are left alone. Nothing is done before all of it is
   * found valid. One that is there with this address and upstream stays as it is, links and all, and only takes the
   * toxics and the mirror that are given; one that differs is replaced. What fails ends it: the ones before it stand.
   */
  populate(list: unknown): Promise<{ proxies: FaultProxy[]; error: Error | null }> {
    const proxies: FaultProxy[] = [];
    return this.#inTurn(async () => {
      try {
        for (const wanted of populationOf(list)) proxies.push(await this.#addOrReplace(wanted));
        return { proxies, error: null };
      } catch (error) {
        return { proxies, error: error as Error };
      }
    });
  }

  update(name: string, body: Body): Promise<FaultProxy> {
    return this.#inTurn(async () => {
      const proxy = this.get(name);
      const { listen, upstream, enabled, mirror } = proxy.settings;
      await proxy.change({
        listen: text(body, 'listen', listen),
        upstream: text(body, 'upstream', upstream),
        enabled: flag(body, 'enabled', enabled),
        mirror: flag(body, 'mirror', mirror),
      });
      return proxy;
    });
  }

  remove(name: string): Promise<void> {
    return this.#inTurn(async () => {
      this.get(name).stop();
      this.#byName.delete(name);
    });
  }

  /** Every proxy enabled, no toxic left. */
  reset(): Promise<void> {
    return this.#inTurn(async () => {
      for (const proxy of this.all()) {
        await proxy.start();
        for (const { name } of proxy.toxics()) proxy.removeToxic(name);
        await proxy.settled();
      }
    });
  }

  stop(): void {
    for (const proxy of this.all()) proxy.stop();
  }

  async #addOrReplace(wanted: Wanted): Promise<FaultProxy> {
    const { name, settings, mirror, toxics } = wanted;
    const existing = this.#byName.get(name);
    if (existing === undefined) return this.#open(wanted);
    if (await existing.differs(settings)) {
      existing.stop();
      return this.#open(wanted);
    }
    if (mirror !== undefined) await existing.change({ ...existing.settings, mirror });
    if (toxics !== undefined) {
      existing.retoxify(toxics);
      await existing.settled();
    }
    return existing;
  }

  /** With its toxics before its first connection. */
  async #open({ name, settings, toxics = [] }: Wanted): Promise<FaultProxy> {
    if (!this.#byName.has(name) && this.#byName.size >= proxiesMax)
      throw aboveLimit('proxies', proxiesMax, this.#byName.size + 1);
    const random = this.#surroundings.random.fork('proxy', name);
    const proxy = new FaultProxy(name, settings, { ...this.#surroundings, random });
    proxy.retoxify(toxics);
    if (settings.enabled) await proxy.start();
    this.#byName.set(name, proxy);
    return proxy;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    return done;
  }
}
