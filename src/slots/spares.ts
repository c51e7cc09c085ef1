import type { Clock } from '../clock.ts';
import type { ToxiproxyApi } from '../toxiproxy.ts';
import type { SlotToxic } from './protocol.ts';
import { Remote } from './remote.ts';

/** A proxy that nobody goes through yet. */
export interface Spare {
  remote: Remote;
  /** Where to dial it, on 127.0.0.1. */
  port: number;
}

export interface SparesHost {
  clock: Clock;
  api: ToxiproxyApi;
  prefix: string;
  /** "127.0.0.1:5432" */
  upstream: string;
  /** Kills with RST are to be possible. */
  rst: boolean;
  /** Those of the Toxiproxy, for every connection that is not dropped. */
  toxics: ReadonlyMap<string, SlotToxic>;
}

/** A burst of connections shall not wait for the Toxiproxy's API. */
const spareMax = 32;
const refillMs = 50;

/** Toxiproxy sets SO_LINGER when a connection begins under such a toxic, also when it hits none: each close is a reset then. */
const closeIsReset: SlotToxic = {
  name: 'close-is-reset',
  type: 'reset_peer',
  stream: 'downstream',
  attributes: { timeout: 0 },
};

/** Proxies made ahead, one for each connection to come. */
export class Spares {
  readonly #host: SparesHost;
  readonly #ready: Spare[] = [];
  #making = 0;
  #made = 0;
  #over = false;
  #stopFill: (() => void) | null = null;

  constructor(host: SparesHost) {
    this.#host = host;
  }

  /** Resolves when there are some. */
  async fill(): Promise<void> {
    const missing = spareMax - this.#ready.length - this.#making;
    await Promise.all(Array.from({ length: Math.max(0, missing) }, () => this.#addOne()));
  }

  /** With all toxics there are. */
  async take(): Promise<Spare> {
    const spare = this.#ready.shift() ?? (await this.#make());
    this.#fillLater();
    await spare.remote.sync(this.#host.toxics);
    return spare;
  }

  async sync(): Promise<void> {
    await Promise.all(this.#ready.map(({ remote }) => remote.sync(this.#host.toxics)));
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#stopFill?.();
    await Promise.all(this.#ready.splice(0).map(({ remote }) => remote.remove()));
  }

  /** Not within the burst that takes them: it would wait for what is made for the next one. */
  #fillLater(): void {
    this.#stopFill ??= this.#host.clock.after(refillMs, () => {
      this.#stopFill = null;
      void this.fill();
    });
  }

  async #addOne(): Promise<void> {
    if (this.#over) return;
    this.#making += 1;
    const spare = await this.#make();
    this.#making -= 1;
    if (this.#over) await spare.remote.remove();
    else this.#ready.push(spare);
  }

  async #make(): Promise<Spare> {
    const { api, prefix, upstream, rst } = this.#host;
    this.#made += 1;
    const remote = new Remote(api, `${prefix}${this.#made}`);
    const port = await remote.create('127.0.0.1', upstream);
    if (rst) await remote.add(closeIsReset, 0);
    return { remote, port };
  }
}
