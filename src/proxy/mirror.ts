import { connect } from 'node:net';
import { type Clock, within } from '../clock.ts';
import { type Address, parseAddress } from './address.ts';

/** What the mirror opens and shuts: the proxy's listener. */
export interface Listener {
  shut(): void;
  /** On the same port as before. */
  reopen(): Promise<void>;
}

type Dialed = 'accepted' | 'refused' | 'unknown';

const redialMs = 10;
const dialLimitMs = 1000;

/**
 * While the upstream refuses connections the listener refuses them too. It dials nothing while all is well: somebody
 * who saw the upstream refuse or end says so (`suspect`), and then one dial decides.
 */
export class Mirror {
  readonly #upstream: string;
  readonly #listener: Listener;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #checking = false;
  #suspected = false;

  constructor(upstream: string, listener: Listener, clock: Clock) {
    this.#upstream = upstream;
    this.#listener = listener;
    this.#clock = clock;
  }

  /** Never rejects on account of the upstream; what `reopen` throws goes to the process. */
  async suspect(): Promise<void> {
    this.#suspected = true;
    if (this.#checking) return;
    this.#checking = true;
    while (this.#suspected && !this.#stop.signal.aborted) await this.#check();
    this.#checking = false;
  }

  /** No dial and no change of the listener after this. */
  close(): void {
    this.#stop.abort();
  }

  async #check(): Promise<void> {
    this.#suspected = false;
    if ((await this.#dial()) === 'refused' && !this.#stop.signal.aborted) await this.#outage();
    // A burst of ended connections is one suspicion, not a dial each.
    await this.#clock.sleepMs(redialMs, this.#stop.signal);
  }

  async #outage(): Promise<void> {
    const { signal } = this.#stop;
    this.#listener.shut();
    do await this.#clock.sleepMs(redialMs, signal);
    while (!signal.aborted && (await this.#dial()) !== 'accepted');
    if (!signal.aborted) await this.#listener.reopen();
  }

  async #dial(): Promise<Dialed> {
    const address = addressOf(this.#upstream);
    if (address === null) return 'unknown';
    const socket = connect({ ...address });
    const answer = new Promise<Dialed>(resolve => {
      socket.once('connect', () => resolve('accepted'));
      socket.on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'unknown'),
      );
    });
    const seen = await within<Dialed, Dialed>(this.#clock, dialLimitMs, answer, 'unknown');
    socket.destroy();
    return seen;
  }
}

/** A proxy may name an upstream that cannot be; it is dialed in vain like any other. */
function addressOf(upstream: string): Address | null {
  try {
    return parseAddress(upstream);
  } catch {
    return null;
  }
}
