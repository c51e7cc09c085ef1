import { type Clock, within } from '../clock.ts';
import { type Address, codeOf, connect } from './connection.ts';
import type { Kept } from './kept.ts';
import type { ProbeAnswer } from './world.ts';

/** PostgreSQL's refusal for lack of slots: the server is up, or the candidate could lengthen its own outage. */
const outOfSlots = '53300';

/** One new connection, tried once. */
export async function probeOutage(clock: Clock, address: Address, timeoutMs: number): Promise<ProbeAnswer> {
  try {
    const connection = await connect(clock, address, timeoutMs);
    // Not awaited by the caller: saying goodbye is no part of the answer.
    void connection.end();
    return { works: true, code: null };
  } catch (error) {
    const code = codeOf(error);
    return { works: code === outOfSlots, code };
  }
}

/** SELECT 1 on the kept connection; `timeoutMs` is for all of it, waiting for its turn included. */
export async function probeMachine(clock: Clock, kept: Kept, timeoutMs: number): Promise<ProbeAnswer> {
  const answer = kept
    .use({ connectLimitMs: timeoutMs, once: true }, connection => connection.query('SELECT 1', [], timeoutMs))
    .then(() => ({ works: true, code: null }))
    .catch(error => ({ works: false, code: codeOf(error) }));
  return within(clock, timeoutMs, answer, { works: false, code: 'timeout' });
}
