import { missingField, proxyExists, proxyNotFound } from './api-error.ts';
import { FaultProxy, type Surroundings } from './fault-proxy.ts';
import { type Body, flag, text } from './fields.ts';

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
    const settings = {
      listen: text(body, 'listen', ''),
      upstream: text(body, 'upstream', ''),
      enabled: flag(body, 'enabled', true),
      mirror: flag(body, 'mirror', false),
    };
    const name = text(body, 'name', '');
    if (name === '') throw missingField('name');
    if (settings.upstream === '') throw missingField('upstream');
    return this.#inTurn(async () => {
      if (this.#byName.has(name)) throw proxyExists();
      const { random } = this.#surroundings;
      const proxy = new FaultProxy(name, settings, {
        ...this.#surroundings,
        random: random.fork('proxy', name),
      });
      if (settings.enabled) await proxy.start();
      this.#byName.set(name, proxy);
      return proxy;
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
      }
    });
  }

  stop(): void {
    for (const proxy of this.all()) proxy.stop();
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    return done;
  }
}
