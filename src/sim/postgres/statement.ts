import type { Column } from './messages.ts';
import type { Table } from './store.ts';

/** What SQL says, once it is parsed. Shared between sessions: nothing in it changes, but for `Insert.plan`. */

export type Expression =
  | { kind: 'place'; n: number; cast?: string }
  | { kind: 'text'; text: string | null; type: ValueType; cast?: true }
  | { kind: 'default' };

export type ValueType = 'unknown' | 'int4' | 'bool' | 'text' | 'numeric';

export interface Insert {
  kind: 'insert';
  table: string;
  columns: string[] | null;
  rows: Expression[][];
  onConflict: boolean;
  /** It reads as well (RETURNING, a conflict target, DO UPDATE): more than INSERT must be granted. */
  reads: boolean;
  /** How its values fit the table, made at its first use. */
  plan: InsertPlan | null;
}

export interface InsertPlan {
  table: Table;
  /** Of each of the table's columns its place in a row of values, -1 without one. */
  from: number[];
  /** Of each parameter its column. */
  places: TableColumn[];
  /** Its only row is `$1, $2 ...` from the first to the last. */
  straight: boolean;
}

export interface TableColumn {
  name: string;
  type: 'text' | 'int4' | 'bpchar' | 'bool' | 'xid8';
  notNull: boolean;
}

export interface Modes {
  readOnly?: boolean;
  isolation?: string;
}

export interface SelectItem {
  column: Column;
  /** Of a function its name, of a literal null. */
  call: string | null;
  /** The literal, or the function's only argument. */
  argument: Expression | null;
}

export type Statement =
  | Insert
  | { kind: 'begin'; tag: 'BEGIN' | 'START TRANSACTION'; modes: Modes }
  | { kind: 'commit' }
  | { kind: 'rollback' }
  | { kind: 'savepoint' | 'release' | 'rollbackTo'; name: string }
  | { kind: 'set'; local: boolean; name: string; value: string | null }
  | { kind: 'setModes'; session: boolean; modes: Modes }
  | { kind: 'reset'; name: string | null }
  | { kind: 'show'; name: string }
  | { kind: 'discard'; what: string }
  | { kind: 'deallocate'; name: string | null }
  | { kind: 'select'; items: SelectItem[] }
  /** Of a table, by whoever may do more than insert: refused, as the app may not. */
  | { kind: 'touch'; verb: 'select' | 'update' | 'delete' | 'truncate'; table: string; text: string }
  | { kind: 'create'; text: string }
  /** A driver that asks for types the workload does not use. */
  | { kind: 'types' };

export interface Parsed {
  text: string;
  statements: Statement[];
  /** How many parameters it takes. */
  places: number;
  /** The casts of its parameters, by number from 0. */
  casts: (string | undefined)[];
}

/** Ends a transaction, or goes back in it: allowed when the transaction has failed. */
export const endsTransaction = ({ kind }: Statement): boolean =>
  kind === 'commit' || kind === 'rollback' || kind === 'rollbackTo';

export const typeIds = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  bpchar: 1042,
  timestamptz: 1184,
  numeric: 1700,
  void: 2278,
  xid8: 5069,
} as const;
