import {
  giveUpMsDefault,
  type KillHow,
  msMax,
  type Next,
  type Shared,
  type Stage,
  type Toxic,
  type WatchedLink,
} from './toxic.ts';

type NthAttributes = { n: number; what: string; how: KillHow; giveUp: number };

/**
 * Every `n`-th connection or request fails, counted over all connections of the proxy. A request: what the client sends
 * first, or first after its server has said something. It is lost, and its connection is ended as `how` says. A
 * connection: accepted and ended (or, drop: never answered) without a dial of the upstream.
 */
export const nth: Toxic<NthAttributes> = {
  type: 'nth',
  attributes: {
    n: { kind: 'integer', default: 0, min: 1 },
    what: { kind: 'choice', default: 'request', of: ['request', 'connection'] },
    how: { kind: 'choice', default: 'rst', of: ['rst', 'fin', 'drop'] },
    giveUp: { kind: 'integer', default: giveUpMsDefault, min: 1, max: msMax, unit: 'ms' },
  },
  direction: 'upstream',
  selectable: ['clientPort'],
  stage: (next, attributes, { shared }, link) => new NthStage(next, attributes, shared, link),
  turnAway: ({ n, what, how, giveUp }, { shared }) =>
    what === 'connection' && isNth(shared, n) ? { how, giveUpMs: giveUp } : null,
};

function isNth(shared: Shared, n: number): boolean {
  shared.count += 1;
  return shared.count % n === 0;
}

class NthStage implements Stage<NthAttributes> {
  readonly #next: Next;
  readonly #shared: Shared;
  readonly #link: WatchedLink;
  #attributes: NthAttributes;
  /** What the server had said when the last request came; no request yet: nothing is as little. */
  #answeredBytes = -1;
  readonly heldBytes = 0;

  constructor(next: Next, attributes: NthAttributes, shared: Shared, link: WatchedLink) {
    this.#next = next;
    this.#attributes = attributes;
    this.#shared = shared;
    this.#link = link;
  }

  push(chunk: Buffer): void {
    const { n, what, how, giveUp } = this.#attributes;
    const begins = this.#link.answeredBytes > this.#answeredBytes;
    this.#answeredBytes = this.#link.answeredBytes;
    if (what === 'request' && begins && isNth(this.#shared, n)) this.#link.kill(how, giveUp);
    else this.#next.push(chunk);
  }

  end(): void {
    this.#next.end();
  }

  update(attributes: NthAttributes): void {
    this.#attributes = attributes;
  }

  flush(): void {}

  close(): void {}
}
