import type { Header, Kill, LedgerRecord, ServerLog, Settled } from '../ledger/record.ts';
import type { Plan } from '../plan.ts';
import { ints } from './columns.ts';
import { ConnectionTable } from './connections.ts';
import { Examples } from './examples.ts';
import { Faults } from './faults.ts';
import { Lives } from './lives.ts';
import { Notes } from './notes.ts';
import { isRefusal, Refusals } from './refusals.ts';
import { StoredRows } from './rows.ts';
import { Submits } from './submits.ts';
import { Vitals } from './vitals.ts';

/** The first reading of a ledger: every fact in its table. Nothing is judged here but how submits ended. */
export class Tables {
  readonly plan: Plan;
  readonly examples = new Examples();
  readonly lives = new Lives();
  readonly notes = new Notes();
  readonly connections = new ConnectionTable(this.lives);
  readonly faults: Faults;
  readonly vitals: Vitals;
  readonly submits: Submits;
  readonly rows: StoredRows;
  readonly kills: (LedgerRecord & Kill)[] = [];
  /** Refusals in the server's own log. */
  readonly logRefusals = new Refusals();
  /** For every attempt, in the order of the ledger, its lease; -1: none. */
  readonly attemptLease = ints();

  constructor({ plan }: Header) {
    this.plan = plan as Plan;
    this.faults = new Faults(this.plan);
    this.vitals = new Vitals(this.plan, this.lives);
    this.submits = new Submits(this.plan, this.lives);
    this.rows = new StoredRows(this.plan, this.submits, this.examples);
  }

  add(record: LedgerRecord): void {
    this.notes.add(record);
    if (record.k === 'submit') this.submits.add(record);
    else if (record.k === 'settled') this.#settle(record);
    else if (record.k === 'conn') this.connections.add(record);
    else if (record.k === 'row') this.rows.add(record);
    else if (record.k === 'gauges') this.vitals.addGauges(record);
    else if (record.k === 'sample') this.vitals.addSample(record);
    else if (record.k === 'probe') this.vitals.addProbe(record);
    else if (record.k === 'worker') this.lives.add(record);
    else if (record.k === 'fault') this.faults.add(record);
    else if (record.k === 'kill') this.kills.push(record);
    else if (record.k === 'serverLog') this.#log(record);
  }

  finish(): void {
    this.submits.finish();
    this.rows.finish();
    this.notes.finalRead.rows = this.rows.rows;
  }

  #settle(settled: LedgerRecord & Settled): void {
    this.submits.settle(settled);
    const submit = this.submits.find(settled.id);
    const life = this.lives.of(settled.worker, settled.life);
    for (const attempt of settled.attempts) {
      const lease = this.connections.leaseOf(life, attempt, settled.i) ?? -1;
      this.attemptLease.push(lease);
      if (lease >= 0 && submit !== undefined) this.connections.leases.submit.set(lease, submit);
    }
  }

  #log({ sqlState, t, i }: LedgerRecord & ServerLog): void {
    if (!isRefusal({ sqlState })) return;
    this.logRefusals.add(t, i);
    this.examples.add('refused-by-server-log', i);
  }
}

export function readTables(records: Iterable<LedgerRecord>): Tables {
  let tables: Tables | null = null;
  for (const record of records) {
    if (record.k === 'header') tables ??= new Tables(record);
    else if (!tables) throw new Error(`ledger line ${record.i}: it does not begin with its header`);
    else tables.add(record);
  }
  if (!tables) throw new Error('an empty ledger: there is no header, hence no plan to judge by');
  tables.finish();
  return tables;
}
