/** Whoever acts in the virtual world: the harness, an app worker, the server. What it started ends with it. */
export class Actor {
  readonly name: string;
  alive = true;
  /** What else ends with it, its sockets above all. */
  readonly belongings = new Set<{ ended(): void }>();
  /** Where what it writes to stdout and stderr goes; null: there. */
  output: ((text: string) => void) | null = null;
  /** What process.exit means to it; null: the process. */
  exit: ((code: number) => void) | null = null;
  /** An error nobody caught while it acted. */
  #crashed: (error: unknown) => void;

  constructor(name: string, crashed: (error: unknown) => void) {
    this.name = name;
    this.#crashed = crashed;
  }

  /** From here on nothing happens on its behalf. */
  end(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const each of this.belongings) each.ended();
    this.belongings.clear();
  }

  crashed(error: unknown): void {
    if (this.alive) this.#crashed(error);
  }
}

/** The virtual world cannot go on: a bug of ours, or a pool that waits for something that is not virtual. */
export class VirtualTimeError extends Error {
  override name = 'VirtualTimeError';
  readonly exitCode = 70;
}

/** Of the pool's, or of a module it uses: which app worker it belongs to cannot be told any more. */
export class OutsideError extends Error {
  override name = 'OutsideError';
  readonly exitCode = 64;

  constructor(did: string) {
    super(
      `real asynchronous work that virtual time does not know (a file, a child process, fetch) came back and ${did}; ` +
        'whose it is cannot be told: run without --virtual',
    );
  }
}
