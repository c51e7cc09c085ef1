import { SqlError, UnknownSqlError } from './errors.ts';
import { keyOf } from './keys.ts';
import type { Expression, Insert, InsertPlan, TableColumn } from './statement.ts';
import type { KeyTable, Store, Table, Transaction, WriteTable } from './store.ts';
import { fromText, type Value } from './values.ts';

/** INSERT into the trial's two tables. */

const column = (name: string, type: TableColumn['type']): TableColumn => ({ name, type, notNull: true });

const keyColumns = [column('trial', 'text'), column('session', 'int4'), column('seq', 'int4')];
const writeColumns = [
  ...keyColumns,
  column('attempt', 'int4'),
  column('row', 'int4'),
  column('of', 'int4'),
  column('payload_sha', 'bpchar'),
  column('valid', 'bool'),
  column('xid', 'xid8'),
];
const validAt = 7;
const xidAt = 8;

const columnsOf = (table: Table): TableColumn[] => (table.kind === 'keys' ? keyColumns : writeColumns);

/** Which value goes where. Throws what PostgreSQL finds before it runs the statement. */
export function planOf(insert: Insert, store: Store, sql: string): InsertPlan {
  const table = store.tables.get(insert.table);
  if (insert.plan && insert.plan.table === table) return insert.plan;
  if (!table) throw noTable(insert.table);
  insert.plan = makePlan(insert, table, sql);
  return insert.plan;
}

export const noTable = (name: string): SqlError => new SqlError('42P01', `relation "${name}" does not exist`);

function makePlan(insert: Insert, table: Table, sql: string): InsertPlan {
  const columns = columnsOf(table);
  const names = insert.columns ?? columns.slice(0, insert.rows[0]!.length).map(({ name }) => name);
  const targets = names.map(name => targetOf(columns, name, table));
  if (new Set(targets).size < targets.length)
    throw new SqlError(
      '42701',
      `column "${names.find((name, n) => names.indexOf(name) < n)}" specified more than once`,
    );
  if (targets.includes(xidAt)) throw new UnknownSqlError(sql, 'a value for xid');
  const places: TableColumn[] = [];
  for (const row of insert.rows) {
    checkLength(row, names);
    row.forEach((value, n) => {
      if (value.kind === 'place') places[value.n] ??= columns[targets[n]!]!;
    });
  }
  const from = columns.map((_, n) => targets.indexOf(n));
  const straight =
    insert.rows.length === 1 && insert.rows[0]!.every((value, n) => value.kind === 'place' && value.n === n);
  return { table, from, places, straight };
}

function targetOf(columns: TableColumn[], name: string, table: Table): number {
  const at = columns.findIndex(each => each.name === name);
  if (at >= 0) return at;
  throw new SqlError('42703', `column "${name}" of relation "${table.name}" does not exist`);
}

function checkLength(row: Expression[], names: string[]): void {
  if (row.length === names.length) return;
  const which =
    row.length > names.length ? 'expressions than target columns' : 'target columns than expressions';
  throw new SqlError('42601', `INSERT has more ${which}`);
}

/** The row's values in the table's order. `given`: the parameters. */
function rowOf(insert: Insert, plan: InsertPlan, n: number, given: readonly Value[]): Value[] {
  const columns = columnsOf(plan.table);
  return columns.map(({ type }, at) => {
    const from = plan.from[at]!;
    if (from < 0) return null;
    if (plan.straight) return given[from]!;
    const value = insert.rows[n]![from]!;
    if (value.kind === 'place') return given[value.n]!;
    return value.kind === 'text' ? literalOf(type, value) : null;
  });
}

const intMax = 2 ** 31 - 1;

function literalOf(
  type: TableColumn['type'],
  { text, type: own }: { text: string | null; type: string },
): Value {
  if (text === null) return null;
  // A number is one before it is the column's.
  if (type === 'int4' && own === 'int4' && Math.abs(Number(text)) > intMax)
    throw new SqlError('22003', 'integer out of range');
  return fromText(type, text);
}

/** 1 or 0 rows inserted, or whom to wait for before it is tried again. */
export function insertRow(
  insert: Insert,
  plan: InsertPlan,
  n: number,
  given: readonly Value[],
  transaction: Transaction,
  store: Store,
): number | Transaction {
  const values = rowOf(insert, plan, n, given);
  store.identify(transaction);
  const columns = columnsOf(plan.table);
  for (let at = 0; at < columns.length; at += 1) {
    if (values[at] === null && at !== xidAt) throw nullValue(plan, columns[at]!.name, values);
  }
  return plan.table.kind === 'keys'
    ? insertKey(insert, plan.table, values, transaction, store)
    : insertWrite(plan, plan.table, values, transaction);
}

function insertWrite(plan: InsertPlan, table: WriteTable, values: Value[], transaction: Transaction): number {
  if (values[validAt] !== true) {
    const constraint = `${table.name}_valid_check`;
    throw new SqlError(
      '23514',
      `new row for relation "${table.name}" violates check constraint "${constraint}"`,
      { detail: failing(plan, values), schema: 'public', table: table.name, constraint },
    );
  }
  const [trial, session, seq, attempt, row, of, sha] = values as [
    string,
    number,
    number,
    number,
    number,
    number,
    string,
  ];
  transaction.rows.push({ table, row: { trial, session, seq, attempt, row, of, sha } });
  return 1;
}

function insertKey(
  insert: Insert,
  table: KeyTable,
  values: Value[],
  transaction: Transaction,
  store: Store,
): number | Transaction {
  const [trial, session, seq] = values as [string, number, number];
  const key = keyOf(trial === table.trial, trial, session, seq);
  const taken = store.takeKey(table, key, transaction);
  if (taken === 'taken') return 1;
  if (taken !== 'exists') return taken;
  if (insert.onConflict) return 0;
  const constraint = `${table.name}_pkey`;
  // Without a detail: whoever may not read the table is not told which key it was.
  throw new SqlError('23505', `duplicate key value violates unique constraint "${constraint}"`, {
    schema: 'public',
    table: table.name,
    constraint,
  });
}

const shown = (value: Value): string => {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return String(value);
};

/** Only what the client wrote itself: it may not read the table. */
function failing(plan: InsertPlan, values: Value[]): string {
  const names: string[] = [];
  const written: string[] = [];
  columnsOf(plan.table).forEach(({ name }, at) => {
    if (plan.from[at]! < 0) return;
    names.push(name);
    written.push(shown(values[at]!));
  });
  return `Failing row contains (${names.join(', ')}) = (${written.join(', ')}).`;
}

function nullValue(plan: InsertPlan, column: string, values: Value[]): SqlError {
  const table = plan.table.name;
  const text = `null value in column "${column}" of relation "${table}" violates not-null constraint`;
  return new SqlError('23502', text, { detail: failing(plan, values), schema: 'public', table, column });
}
