import type { SessionCounts } from '../../world/world.ts';
import type { Backend } from './backend.ts';
import type { Host } from './host.ts';

/** Sessions of one user, as pg_stat_activity tells of them. */

const endLimitMs = 10_000;
const endPollMs = 20;

const of = (backends: Iterable<Backend>, user: string): Backend[] =>
  [...backends].filter(backend => backend.session !== null && backend.user?.name === user);

/** Who asks seldom would miss most of them, so their number is watched as it grows. */
export class Sessions {
  readonly #backends: Iterable<Backend>;
  readonly #most = new Map<string, number>();

  constructor(backends: Iterable<Backend>) {
    this.#backends = backends;
  }

  /** One more, about to begin. */
  begins(user: string): null {
    const now = of(this.#backends, user).length + 1;
    this.#most.set(user, Math.max(now, this.#most.get(user) ?? 0));
    return null;
  }

  count(user: string): SessionCounts {
    const counts = { sessions: 0, active: 0, idle: 0, idleInTransaction: 0 };
    for (const { activity } of of(this.#backends, user)) {
      counts.sessions += 1;
      if (activity === 'active') counts.active += 1;
      else if (activity === 'idle') counts.idle += 1;
      else counts.idleInTransaction += 1;
    }
    const sessionsMax = Math.max(counts.sessions, this.#most.get(user) ?? 0);
    this.#most.set(user, counts.sessions);
    return { ...counts, sessionsMax };
  }
}

/** Terminates them until none is left: how many there were, with an error when some stay. */
export function endSessions(
  backends: Iterable<Backend>,
  user: string,
  host: Host,
  done: (found: number, error: Error | null) => void,
): void {
  const found = of(backends, user).length;
  const untilMs = host.nowMs + endLimitMs;
  const look = (): void => {
    const left = of(backends, user);
    for (const backend of left) backend.terminate();
    if (left.length === 0) return done(found, null);
    if (host.nowMs < untilMs) return void host.later(host.nowMs + endPollMs, look);
    const text = `${left.length} of ${found} sessions of ${user} did not end within ${endLimitMs} ms`;
    done(found, new Error(text));
  };
  look();
}
