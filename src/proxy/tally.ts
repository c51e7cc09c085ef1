import type { DirectionBytes, Link } from './link.ts';
import type { KillHow } from './toxics/toxic.ts';

interface Traffic {
  received: DirectionBytes;
  sent: DirectionBytes;
}

const none = (): Traffic => ({
  received: { upstream: 0, downstream: 0 },
  sent: { upstream: 0, downstream: 0 },
});

/** What a proxy has done so far. Sockets count bytes anyway: those of open links are read when somebody asks. */
export class Tally {
  #past = none();
  readonly #kills: Record<KillHow, number> = { drop: 0, fin: 0, rst: 0 };

  killed(how: KillHow): void {
    this.#kills[how] += 1;
  }

  ended(link: Link): void {
    add(this.#past, link);
  }

  /** The listener or the upstream is another one now. */
  restart(): void {
    this.#past = none();
  }

  with(open: Iterable<Link>): Traffic & { kills: Record<KillHow, number> } {
    const sum = none();
    add(sum, this.#past);
    for (const link of open) add(sum, link);
    return { ...sum, kills: this.#kills };
  }
}

function add(sum: Traffic, { received, sent }: Traffic): void {
  sum.received.upstream += received.upstream;
  sum.received.downstream += received.downstream;
  sum.sent.upstream += sent.upstream;
  sum.sent.downstream += sent.downstream;
}
