import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Address } from './address.ts';
import { PortListener } from './listener.ts';
import { Mirror } from './mirror.ts';

/** Lets clients in while nothing speaks against it: a mirrored upstream that refuses, or a toxic. */
export class Door {
  readonly #listener: PortListener;
  readonly #clock: Clock;
  #mirror: Mirror | null = null;
  #reopening: Promise<void> = Promise.resolve();

  private constructor(listener: PortListener, clock: Clock) {
    this.#listener = listener;
    this.#clock = clock;
  }

  static async open(address: Address, clock: Clock, accepted: (client: Socket) => void): Promise<Door> {
    const listener = new PortListener(address, clock, accepted);
    await listener.open();
    return new Door(listener, clock);
  }

  /** With the real port. */
  get address(): Address {
    return this.#listener.address;
  }

  /** Clients that were one too many. */
  get overCount(): number {
    return this.#listener.overCount;
  }

  /** It is shut while this upstream refuses; null: whatever the upstream does. */
  mirror(upstream: string | null): void {
    const listener = this.#listener;
    if (this.#mirror !== null) {
      this.#mirror.close();
      this.#mirror = null;
      void listener.reopen('upstream');
    }
    if (upstream === null) return;
    const door = { shut: () => listener.shut('upstream'), reopen: () => listener.reopen('upstream') };
    this.#mirror = new Mirror(upstream, door, this.#clock);
    this.suspect();
  }

  /** Somebody saw the upstream refuse or end. */
  suspect(): void {
    void this.#mirror?.suspect();
  }

  /** Whether a toxic wants it shut. It may open a little later: see `settled`. */
  refuse(shut: boolean): void {
    if (shut) return this.#listener.shut('toxic');
    this.#reopening = this.#listener.reopen('toxic');
    // Whoever waits for it hears of it; without anybody it must not end the process.
    this.#reopening.catch(() => {});
  }

  /** Resolves when it is as the toxics want it. */
  settled(): Promise<void> {
    return this.#reopening;
  }

  close(): void {
    this.#mirror?.close();
    this.#listener.shut('stopped');
  }
}
