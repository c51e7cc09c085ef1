import { chunkOverheadBytes, type Next, type Stage, type Toxic } from './toxic.ts';

/**
 * Nothing passes in this direction, bytes or end, and nobody is told. What comes is held, and when it is more than a
 * lane may hold the source is read no further: its kernel waits, as it would for a network that is gone for a while.
 * All of it goes on when the toxic leaves, as retransmissions would.
 */
export const blackhole: Toxic<Record<never, never>> = {
  type: 'blackhole',
  attributes: {},
  stage: next => new BlackholeStage(next),
};

class BlackholeStage implements Stage {
  readonly #next: Next;
  #held: Buffer[] = [];
  #ended = false;
  heldBytes = 0;
  readonly blocks = true;

  constructor(next: Next) {
    this.#next = next;
  }

  push(chunk: Buffer): void {
    this.#held.push(chunk);
    this.heldBytes += chunk.length + chunkOverheadBytes;
  }

  end(): void {
    this.#ended = true;
  }

  update(): void {}

  flush(): void {
    const [held, ended] = [this.#held, this.#ended];
    this.close();
    for (const chunk of held) this.#next.push(chunk);
    if (ended) this.#next.end();
  }

  close(): void {
    this.#held = [];
    this.#ended = false;
    this.heldBytes = 0;
  }
}
