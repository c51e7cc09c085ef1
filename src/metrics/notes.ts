import type { End, LedgerRecord, Note } from '../ledger/record.ts';
import type { Span } from './spans.ts';
import type { FinalRead, UnknownReason } from './types.ts';

/** Reaching their limit is an outcome of the candidate (something hung), not a failure of the reading. */
const mayEndAtLimit = new Set(['drain', 'close-workers']);

const troubles: Record<string, UnknownReason> = {
  interrupted: 'interrupted',
  'guardian-lost': 'guardian-lost',
  'proxy-lost': 'proxy-lost',
  'server-lost': 'server-lost',
};

/** What the harness noted of itself: phase edges, the final read, trouble, the control client, the end. */
export class Notes {
  readonly finalRead: FinalRead = { steps: [], read: false, rows: 0 };
  /** Commits in here the server itself lost: the control client, which has no pool, lost its own too. */
  readonly lostByServer: Span[] = [];
  drainMs: number | null = null;
  lastMs = 0;
  #trouble = new Set<UnknownReason>();
  #end: End | null = null;

  /** Every record passes: the last one tells how far the trial got. */
  add(record: LedgerRecord): void {
    this.lastMs = Math.max(this.lastMs, record.t);
    if (record.k === 'end') this.#end = record;
    if (record.k === 'note') this.#note(record);
  }

  /** Arrivals stopped: noted, or as planned, or when the ledger ends before that. */
  drainStartMs(durationMs: number): number {
    return this.drainMs ?? Math.min(durationMs, this.lastMs);
  }

  /** Reasons why the trial as a whole says nothing, known from its notes. */
  trouble(): UnknownReason[] {
    const all = new Set(this.#trouble);
    if (!this.#end?.complete) all.add('interrupted');
    const { steps, read } = this.finalRead;
    if (!read) all.add('no-data');
    else if (steps.some(({ name, ok }) => !ok && !mayEndAtLimit.has(name))) all.add('counts-differ');
    return [...all];
  }

  #note({ what, name, ok, detail, i, t }: LedgerRecord & Note): void {
    if (what === 'phase' && name === 'drain') this.drainMs ??= t;
    // What went on regardless (`ok`) is a remark; whatever else stopped the trial, it was cut short.
    if (what === 'trouble' && !ok) this.#trouble.add(troubles[name] ?? 'interrupted');
    if (what === 'control' && !ok) this.lostByServer.push(...spanOf(detail));
    if (what !== 'final-read') return;
    this.finalRead.steps.push({ name, ok, detail, line: i });
    if (name === 'read' && ok) this.finalRead.read = true;
  }
}

/**
 * A control client's loss is a note `control`, not ok, whose detail is {"fromMs", "toMs"} in JSON: its
 * commits acked in between are not there. Anything else blames nobody.
 */
function spanOf(detail: string | null): Span[] {
  try {
    const { fromMs, toMs } = JSON.parse(detail ?? '{}');
    return typeof fromMs === 'number' && typeof toMs === 'number' ? [{ fromMs, toMs }] : [];
  } catch {
    return [];
  }
}
