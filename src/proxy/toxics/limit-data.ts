import type { Next, Stage, Toxic, WatchedLink } from './toxic.ts';

type LimitDataAttributes = { bytes: number };

/** Lets `bytes` bytes pass in this direction, counted from when the toxic came, and then ends the connection (FIN). */
export const limitData: Toxic<LimitDataAttributes> = {
  type: 'limit_data',
  attributes: { bytes: { kind: 'integer', default: 0, unit: 'bytes' } },
  stage: (next, attributes, _tools, link) => new LimitDataStage(next, attributes, link),
};

class LimitDataStage implements Stage<LimitDataAttributes> {
  readonly #next: Next;
  readonly #link: WatchedLink;
  #limitBytes: number;
  #passedBytes = 0;
  readonly heldBytes = 0;

  constructor(next: Next, { bytes }: LimitDataAttributes, link: WatchedLink) {
    this.#next = next;
    this.#link = link;
    this.#limitBytes = bytes;
  }

  push(chunk: Buffer): void {
    const part = chunk.subarray(0, Math.max(0, this.#limitBytes - this.#passedBytes));
    this.#passedBytes += part.length;
    if (part.length > 0) this.#next.push(part);
    if (this.#passedBytes >= this.#limitBytes) this.#link.kill('fin');
  }

  end(): void {
    this.#next.end();
  }

  /** What has passed counts; a limit below it ends the connection with the next bytes. */
  update({ bytes }: LimitDataAttributes): void {
    this.#limitBytes = bytes;
  }

  flush(): void {}

  close(): void {}
}
