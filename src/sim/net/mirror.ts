import type { VirtualLoop } from '../loop.ts';

const look = ({ mirror, port }: { mirror: Mirror; port: number }): void => mirror.look(port);

/**
 * The proxy's own listeners, which follow the server's as src/proxy/mirror.ts has it: a listener goes on accepting
 * until a dial of the proxy's is refused, so whoever comes first after the server has gone is accepted and reset. From
 * then on the proxy looks every `redialMs` whether the server is back.
 */
export class Mirror {
  readonly #loop: VirtualLoop;
  readonly #redialMs: number;
  readonly #listens: (port: number) => boolean;
  /** Ports somebody has listened at. */
  readonly #ports = new Set<number>();
  readonly #shut = new Set<number>();
  readonly #suspected = new Set<number>();

  constructor(loop: VirtualLoop, redialMs: number, listens: (port: number) => boolean) {
    this.#loop = loop;
    this.#redialMs = redialMs;
    this.#listens = listens;
  }

  /** The first listener at a port is there with its server. */
  listening(port: number): void {
    this.#ports.add(port);
  }

  accepts(port: number): boolean {
    return this.#ports.has(port) && !this.#shut.has(port);
  }

  /** A dial was refused. */
  refused(port: number): void {
    if (this.#shut.has(port)) return;
    this.#shut.add(port);
    this.#lookLater(port);
  }

  /** The server ended a connection. A burst of them is one suspicion. */
  suspect(port: number): void {
    if (this.#shut.has(port) || this.#suspected.has(port)) return;
    this.#suspected.add(port);
    this.#lookLater(port);
  }

  look(port: number): void {
    this.#suspected.delete(port);
    if (this.#listens(port)) this.#shut.delete(port);
    else {
      this.#shut.add(port);
      this.#lookLater(port);
    }
  }

  #lookLater(port: number): void {
    const { nowMs, root } = this.#loop;
    this.#loop.schedule(nowMs + this.#redialMs, root, look, { mirror: this as Mirror, port });
  }
}
