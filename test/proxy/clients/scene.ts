import { realClock, waitUntil, within } from '../../../src/clock.ts';
import { type Stage, settled } from '../conformance/stage.ts';
import type { Differs } from '../conformance/suite.ts';
import type { DialOptions, Engine, Outcome, ServerSide, Session } from './engines.ts';

/** One thing that happens to a client's connections: what is done, and what pg and mysql2 make of it. */
export interface Row {
  name: string;
  play(scene: Scene): Promise<Record<string, unknown>>;
  expect(is: Words): Record<string, unknown>;
}

/** What one and the same event is called by the library of the test. */
export interface Words {
  lost: Outcome;
  reset: Outcome;
  refused: Outcome;
  /** What it says of a query on a connection it knows to be gone. */
  unusable: Outcome;
  by<T>(words: { pg: T; mysql2: T }): T;
  differs: Differs;
}

const both = { reset: 'ECONNRESET', refused: 'ECONNREFUSED' };
const own = {
  pg: {
    lost: '-: Connection terminated unexpectedly',
    unusable: '-: Client has encountered a connection error and is not queryable',
  },
  mysql2: {
    lost: 'PROTOCOL_CONNECTION_LOST: Connection lost: The server closed the connection.',
    unusable: "-: Can't add new command when connection is in closed state",
  },
};

export const wordsOf = (name: Engine['name'], differs: Differs): Words => ({
  ...both,
  ...own[name],
  by: words => words[name],
  differs,
});

/** What a lost idle connection tells its owner. */
export const toldOf = (words: Outcome) => ({ pg: [words, 'end'], mysql2: ['end', words] });

export const ping = 'SELECT 1';

const earlyMs = 2;
const limitMs = 8_000;

/** A proxy in front of a database, and what a play does with both. */
export class Scene {
  readonly stage: Stage;
  readonly db: Engine;
  readonly #sessions: Session[] = [];

  constructor(stage: Stage, db: Engine) {
    this.stage = stage;
    this.db = db;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  session = async (options?: DialOptions): Promise<Session> => {
    const session = await this.#dial(options);
    if (typeof session === 'string') throw new Error(`no session: ${session}`);
    return session;
  };

  /** How dialing went. */
  dial = async (options?: DialOptions): Promise<Outcome> => {
    const session = await this.#dial(options);
    return typeof session === 'string' ? session : 'ok';
  };

  async #dial(options?: DialOptions): Promise<Session | Outcome> {
    const session = await this.db.dial(this.stage.port, options);
    if (typeof session !== 'string') this.#sessions.push(session);
    return session;
  }

  /** The outcome if there is one soon. */
  soon = (work: Promise<Outcome>, ms = 150): Promise<Outcome> => within(realClock, ms, work, 'pending');

  /** Waits until the server sees the session so, and says how it sees it. */
  server = async ({ id }: Session, wanted: ServerSide): Promise<ServerSide> => {
    let seen: ServerSide = 'idle';
    const met = async () => {
      seen = await this.db.serverSide(id);
      return seen === wanted;
    };
    await waitUntil(realClock, met, { everyMs: 10, limitMs });
    return seen;
  };

  /** Waits for the library to tell of the end, and for all else it may tell after it. */
  told = async ({ events }: Session): Promise<string[]> => {
    await waitUntil(realClock, () => events.length > 0, { everyMs: 2, limitMs });
    await settled(30);
    return [...events];
  };

  /** Whether it took that long at least. */
  tookAtLeast = async (ms: number, work: () => Promise<unknown>): Promise<boolean> => {
    const startMs = realClock.nowMs();
    await work();
    return realClock.nowMs() - startMs > ms - earlyMs;
  };
}
