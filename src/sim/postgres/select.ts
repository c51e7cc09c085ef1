import type { Block } from './block.ts';
import { SqlError } from './errors.ts';
import type { Process } from './host.ts';
import { type Column, dataRow, rowDescription } from './messages.ts';
import type { Settings } from './settings.ts';
import type { SelectItem, Statement } from './statement.ts';
import { typeIds } from './statement.ts';
import type { Value } from './values.ts';

/** What answers with rows: SELECT without a table, and SHOW. */

/** Where it is asked. */
export interface SelectIn {
  backend: Process;
  settings: Settings;
  block: Block;
}

const text = (name: string): Column => ({ name, type: typeIds.text, size: -1 });

const typesColumns: Column[] = [
  { name: 'oid', type: typeIds.oid, size: 4 },
  { name: 'typarray', type: typeIds.oid, size: 4 },
];

/** RowDescription, or null when the statement answers without rows. */
export function describe(statement: Statement | null): Buffer | null {
  if (statement?.kind === 'select') return rowDescription(statement.items.map(({ column }) => column));
  if (statement?.kind === 'show') return rowDescription([text(statement.name)]);
  return statement?.kind === 'types' ? rowDescription(typesColumns) : null;
}

// Virtual time begins at some moment of the calendar.
const zeroMs = 1_767_225_600_000;

/** A moment as PostgreSQL writes it, from days since 1970 (Hinnant's civil_from_days). */
function timestamp(ms: number): string {
  const dayMs = 86_400_000;
  const days = Math.floor(ms / dayMs) + 719_468;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const shifted = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  const inDay = ms % dayMs;
  const clock = `${two(inDay / 3_600_000)}:${two((inDay / 60_000) % 60)}:${two((inDay / 1000) % 60)}`;
  const fraction = String(Math.floor((inDay % 1000) * 1000)).padStart(6, '0');
  return `${year + era * 400 + (month <= 2 ? 1 : 0)}-${two(month)}-${two(day)} ${clock}.${fraction}+00`;
}

function argumentOf({ argument }: SelectItem, given: readonly Value[]): string | null {
  if (argument === null || argument.kind === 'default') return null;
  if (argument.kind === 'text') return argument.text;
  const value = given[argument.n] ?? null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return value === null ? null : String(value);
}

function cellOf(
  item: SelectItem,
  given: readonly Value[],
  { backend, settings, block }: SelectIn,
): string | null {
  const { host } = backend;
  if (item.call === null) return argumentOf(item, given);
  if (item.call === 'version')
    return `PostgreSQL ${host.serverVersion} on x86_64-pc-linux-gnu, simulated, 64-bit`;
  if (item.call === 'now') return timestamp(zeroMs + backend.cursorMs);
  if (item.call === 'pg_backend_pid') return String(backend.pid);
  if (item.call === 'pg_is_in_recovery') return 'f';
  if (item.call === 'pg_sleep') return '';
  if (item.call === 'current_user') return backend.user!.name;
  if (item.call === 'current_setting') return settings.get(argumentOf(item, given) ?? '');
  const { transaction } = block;
  host.store.identify(transaction);
  return String(transaction.xid);
}

/** DataRow of a SELECT or SHOW. */
export function rowOf(statement: Statement, given: readonly Value[], within: SelectIn): Buffer | null {
  if (statement.kind === 'show') return dataRow([within.settings.get(statement.name)]);
  if (statement.kind !== 'select') return null;
  return dataRow(statement.items.map(item => cellOf(item, given, within)));
}

/** How long the statement sleeps, ms. */
export function sleepMs(statement: Statement, given: readonly Value[]): number {
  if (statement.kind !== 'select') return 0;
  const sleep = statement.items.find(({ call }) => call === 'pg_sleep');
  if (!sleep) return 0;
  const seconds = Number(argumentOf(sleep, given));
  if (Number.isNaN(seconds)) throw new SqlError('22P02', 'invalid input syntax for type double precision');
  return Math.max(0, seconds * 1000);
}
