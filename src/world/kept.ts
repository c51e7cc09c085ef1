import type { Clock } from '../clock.ts';
import { type Address, type Connection, connect, isAnswer } from './connection.ts';

/** How long to go on trying to connect. */
export interface Patience {
  connectLimitMs: number;
  /** The first refusal is the answer. */
  once?: boolean;
}

/** One connection kept for one purpose, opened anew when it was lost. Users of it take turns. */
export interface Kept {
  use<T>(patience: Patience, work: (connection: Connection) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const retryMs = 50;

export function keep(clock: Clock, address: Address): Kept {
  let kept: Connection | null = null;
  let closed = false;
  let turn: Promise<unknown> = Promise.resolve();

  const open = async ({ connectLimitMs, once }: Patience): Promise<Connection> => {
    const endMs = clock.nowMs() + connectLimitMs;
    for (;;) {
      if (closed) throw new Error('the connection was closed by us');
      try {
        return await connect(clock, address, Math.max(1, endMs - clock.nowMs()));
      } catch (error) {
        if (once || clock.nowMs() + retryMs >= endMs) throw error;
        await clock.sleepMs(retryMs);
      }
    }
  };
  const attempt = async <T>(patience: Patience, work: (connection: Connection) => Promise<T>): Promise<T> => {
    kept = kept?.alive ? kept : await open(patience);
    const mine = kept;
    if (closed) mine.destroy();
    try {
      return await work(mine);
    } catch (error) {
      // In doubt the connection goes, with whatever transaction it was in.
      if (!isAnswer(error)) mine.destroy();
      throw error;
    }
  };
  const use: Kept['use'] = async (patience, work) => {
    const fresh = !kept?.alive;
    try {
      return await attempt(patience, work);
    } catch (error) {
      // Kept through a restart it dies at first use, which says nothing about the server of now.
      if (fresh || isAnswer(error) || (error as { code?: unknown }).code === 'timeout') throw error;
      return await attempt(patience, work);
    }
  };
  return {
    use(patience, work) {
      const mine = turn.then(() => use(patience, work));
      turn = mine.catch(() => {});
      return mine;
    },
    async close() {
      closed = true;
      await kept?.end();
    },
  };
}
