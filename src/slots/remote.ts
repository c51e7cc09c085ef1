import type { ToxiproxyApi } from '../toxiproxy.ts';
import type { SlotToxic } from './protocol.ts';

/** The proxy of one connection on the Toxiproxy. Calls are made one after the other; once it is removed they do nothing. */
export class Remote {
  readonly #api: ToxiproxyApi;
  readonly #name: string;
  readonly #installed = new Set<string>();
  #state: 'none' | 'there' | 'gone' = 'none';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(api: ToxiproxyApi, name: string) {
    this.#api = api;
    this.#name = name;
  }

  /** The first call: the port to dial. */
  async create(host: string, upstream: string): Promise<number> {
    const made = await this.#inTurn(async () => {
      const port = await this.#api.createProxy({ name: this.#name, listen: `${host}:0`, upstream });
      this.#state = 'there';
      return port;
    });
    if (made === null) throw new Error('removed before it was made');
    return made;
  }

  add(toxic: SlotToxic, toxicity = 1): Promise<unknown> {
    return this.#inTurn(() => this.#api.addToxic(this.#name, { ...toxic, toxicity }));
  }

  /** Brings its toxics to what is wanted, those of `add` apart. */
  sync(wanted: ReadonlyMap<string, SlotToxic>): Promise<unknown> {
    return this.#inTurn(async () => {
      for (const name of [...this.#installed].filter(name => !wanted.has(name))) {
        await this.#api.removeToxic(this.#name, name);
        this.#installed.delete(name);
      }
      for (const toxic of [...wanted.values()].filter(({ name }) => !this.#installed.has(name))) {
        await this.#api.addToxic(this.#name, { ...toxic, toxicity: 1 });
        this.#installed.add(toxic.name);
      }
    });
  }

  /** Closes what goes through it. */
  remove(): Promise<unknown> {
    return this.#inTurn(async () => {
      const made = this.#state === 'there';
      this.#state = 'gone';
      if (made) await this.#api.removeProxy(this.#name);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T | null> {
    const done = this.#turn.then(() => (this.#state === 'gone' ? null : work()));
    // One call that failed is told to its caller, and the next one is tried.
    this.#turn = done.catch(() => {});
    return done;
  }
}
