import { type TrialClock, trialClock } from './clock.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { RunEdges } from './request.ts';
import type { WorldEvents } from './world/world.ts';

export interface TrialEvents extends WorldEvents {
  /** From here on what the world says is recorded there; null: nowhere. */
  recordIn(ledger: Ledger | null): void;
  rethrow(): void;
}

export interface StartedTrial {
  clock: TrialClock;
  events: TrialEvents;
  signal: AbortSignal;
}

export interface TrialEdges extends Pick<RunEdges, 'clock'> {
  stop: Pick<AbortController, 'signal' | 'abort'>;
}

/** A server gone wild shall not fill the disk. */
const serverLinesMax = 50_000;

/** The trial's own clock, and its ear for what the world says without being asked. */
export function startTrial({ clock: realClock, stop }: TrialEdges): StartedTrial {
  const clock = trialClock(realClock);
  let ledger: Ledger | null = null;
  let serverLines = 0;
  let failure: Error | null = null;
  return {
    clock,
    signal: stop.signal,
    events: {
      recordIn: into => {
        ledger = into;
      },
      failed: error => {
        failure ??= error;
        if (!stop.signal.aborted) stop.abort('failed');
      },
      rethrow: () => {
        if (failure) throw failure;
      },
      serverLog: line => {
        serverLines += 1;
        if (serverLines <= serverLinesMax) ledger?.append({ k: 'serverLog', ...line });
        if (serverLines !== serverLinesMax) return;
        const detail = `no more than ${serverLinesMax} lines of the server are kept`;
        ledger?.append({ k: 'note', what: 'trouble', name: 'server-log-limit', ok: true, detail });
      },
      kill: ({ toxic, link, clientPort, at, how, idleMs }) =>
        ledger?.append({ k: 'kill', fault: toxic, link, clientPort, atMs: clock.fromReal(at), how, idleMs }),
      lost: (part, detail) => {
        ledger?.append({ k: 'note', what: 'trouble', name: `${part}-lost`, ok: false, detail });
        if (!stop.signal.aborted) stop.abort(`${part}-lost`);
      },
    },
  };
}
