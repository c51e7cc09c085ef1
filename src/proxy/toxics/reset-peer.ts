import type { Clock } from '../../clock.ts';
import { msMax, type Stage, type Toxic, type WatchedLink } from './toxic.ts';

type ResetPeerAttributes = { timeout: number };

/**
 * Resets the connection, both sides, `timeout` ms after the next bytes or end in this direction; those are lost. An
 * idle connection stays as it is: `reset` is for those.
 */
export const resetPeer: Toxic<ResetPeerAttributes> = {
  type: 'reset_peer',
  attributes: { timeout: { kind: 'integer', default: 0, max: msMax, unit: 'ms' } },
  stage: (_next, attributes, { clock }, link) => new ResetPeerStage(attributes, clock, link),
};

class ResetPeerStage implements Stage<ResetPeerAttributes> {
  readonly #clock: Clock;
  readonly #link: WatchedLink;
  #timeoutMs: number;
  #seenMs: number | null = null;
  #cancel = () => {};
  readonly heldBytes = 0;

  constructor({ timeout }: ResetPeerAttributes, clock: Clock, link: WatchedLink) {
    this.#timeoutMs = timeout;
    this.#clock = clock;
    this.#link = link;
  }

  push(): void {
    if (this.#seenMs === null) this.#arm();
  }

  end(): void {
    if (this.#seenMs === null) this.#arm();
  }

  update({ timeout }: ResetPeerAttributes): void {
    this.#timeoutMs = timeout;
    if (this.#seenMs !== null) this.#arm();
  }

  /** What it took is lost, so that there is no way back. */
  flush(): void {
    if (this.#seenMs !== null) this.#link.kill('rst');
  }

  close(): void {
    this.#cancel();
  }

  #arm(): void {
    this.#cancel();
    this.#seenMs ??= this.#clock.nowMs();
    const leftMs = this.#seenMs + this.#timeoutMs - this.#clock.nowMs();
    if (leftMs <= 0) this.#link.kill('rst');
    else this.#cancel = this.#clock.after(Math.ceil(leftMs), () => this.#link.kill('rst'));
  }
}
