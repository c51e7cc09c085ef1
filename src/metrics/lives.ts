import type { LedgerRecord, Worker } from '../ledger/record.ts';

/** One life of an app worker: a process from spawn to exit. */
export interface Life {
  row: number;
  worker: number;
  life: number;
  /** When it exited; Infinity while the ledger does not say. */
  endMs: number;
  crashed: boolean;
  exitLine: number;
  detail: string | null;
}

export const crashesMax = 100;
const violationsMax = 20;

/** What became of the workers. */
export class Lives {
  readonly all: Life[] = [];
  crashLoops = 0;
  violations = { count: 0, details: [] as string[], lines: [] as number[] };
  /** When the first worker was asked to close: what is out later is not leaked but on its way home. */
  closingMs = Number.POSITIVE_INFINITY;
  #byKey = new Map<number, Life>();

  of(worker: number, life: number): Life {
    const key = worker * 2 ** 32 + life;
    const known = this.#byKey.get(key);
    if (known) return known;
    const fresh: Life = {
      row: this.all.length,
      worker,
      life,
      endMs: Number.POSITIVE_INFINITY,
      crashed: false,
      exitLine: -1,
      detail: null,
    };
    this.all.push(fresh);
    this.#byKey.set(key, fresh);
    return fresh;
  }

  add(record: LedgerRecord & Worker): void {
    const { worker, life, ev, crash, detail, t, i } = record;
    const it = this.of(worker, life);
    if (ev === 'exit') Object.assign(it, { endMs: t, crashed: crash, exitLine: i, detail });
    if (ev === 'closing') this.closingMs = Math.min(this.closingMs, t);
    if (ev === 'crash-loop') this.crashLoops += 1;
    if (ev === 'protocol') this.#violation(detail, i);
  }

  get crashed(): Life[] {
    return this.all.filter(life => life.crashed).sort((a, b) => a.endMs - b.endMs || a.exitLine - b.exitLine);
  }

  #violation(detail: string | null, line: number): void {
    this.violations.count += 1;
    if (this.violations.details.length >= violationsMax) return;
    this.violations.details.push(detail ?? 'no detail');
    this.violations.lines.push(line);
  }
}
