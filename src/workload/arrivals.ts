import type { PlannedWorkload } from '../plan.ts';
import type { Random } from '../random.ts';

/** A submit that falls due: fixed by the seed before the trial. */
export interface Arrival {
  scheduledMs: number;
  session: number;
  seq: number;
  valid: boolean;
}

interface Next {
  atMs: number;
  session: number;
  /** A session's own rhythm goes on; a burst's submit comes once. */
  rhythm: boolean;
}

/**
 * Every submit of a trial in order of time, made as it is asked for. Each session has its own chance, and
 * its rhythm, bursts and mistakes each their own, so that changing one moves no other.
 */
export function* arrivals(workload: PlannedWorkload, durationMs: number, random: Random): Generator<Arrival> {
  const due = new DueQueue();
  const sessions = Array.from({ length: workload.sessions }, (_, session) => {
    const rhythm = random.fork('rhythm', session);
    due.push({
      atMs: afterBreaks(rhythm.next() * workload.everyMs, workload, rhythm),
      session,
      rhythm: true,
    });
    for (const atMs of burstTimes(workload, random.fork('bursts', session)))
      due.push({ atMs, session, rhythm: false });
    return { rhythm, mistakes: random.fork('mistakes', session), seq: 0 };
  });
  for (let next = due.pop(); next && next.atMs < durationMs; next = due.pop()) {
    const { atMs, session } = next;
    const own = sessions[session]!;
    if (next.rhythm)
      due.push({ ...next, atMs: afterBreaks(atMs + gapMs(workload, own.rhythm), workload, own.rhythm) });
    yield { scheduledMs: atMs, session, seq: own.seq++, valid: own.mistakes.next() >= workload.rejected };
  }
}

function* burstTimes({ bursts }: PlannedWorkload, draw: Random): Generator<number> {
  for (const { atMs, overMs, submits } of bursts)
    for (let n = 0; n < submits; n += 1) yield atMs + draw.next() * overMs;
}

const gapMs = ({ everyMs, jitter }: PlannedWorkload, draw: Random): number =>
  everyMs * (1 + jitter * (2 * draw.next() - 1));

/** Who would submit during a break comes back some time after it. */
function afterBreaks(atMs: number, { breaks }: PlannedWorkload, draw: Random): number {
  const pause = breaks.find(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs);
  return pause ? pause.toMs + draw.next() * pause.returnOverMs : atMs;
}

/** A binary heap by time, then session: ties must fall the same way in every run. */
class DueQueue {
  #heap: Next[] = [];

  push(item: Next): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  pop(): Next | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Next, b: Next): boolean =>
  a.atMs !== b.atMs
    ? a.atMs < b.atMs
    : a.session !== b.session
      ? a.session < b.session
      : a.rhythm && !b.rhythm;
