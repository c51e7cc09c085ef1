import type { Column } from './messages.ts';
import { type Expression, type SelectItem, type Statement, typeIds } from './statement.ts';
import type { TokenReader } from './token-reader.ts';

/** SELECT of literals and of a few functions. From a table: known for being refused to the app. */

const functions: Record<string, { type: number; size: number; argument?: true }> = {
  version: { type: typeIds.text, size: -1 },
  now: { type: typeIds.timestamptz, size: 8 },
  pg_backend_pid: { type: typeIds.int4, size: 4 },
  pg_is_in_recovery: { type: typeIds.bool, size: 1 },
  current_setting: { type: typeIds.text, size: -1, argument: true },
  pg_current_xact_id: { type: typeIds.xid8, size: 8 },
  pg_sleep: { type: typeIds.void, size: 4, argument: true },
  txid_current: { type: typeIds.int8, size: 8 },
};
const plainWords: Record<string, string> = { current_user: 'current_user', session_user: 'session_user' };

const literalTypes: Record<string, [number, number]> = {
  unknown: [typeIds.text, -1],
  text: [typeIds.text, -1],
  int4: [typeIds.int4, 4],
  numeric: [typeIds.numeric, -1],
  bool: [typeIds.bool, 1],
};

export function parseSelect(read: TokenReader): Statement {
  const from = tableAfterFrom(read);
  if (from !== null) return { kind: 'touch', verb: 'select', table: from, text: read.sql };
  const items = [item(read)];
  while (read.sign(',')) items.push(item(read));
  return { kind: 'select', items };
}

/** The first table this reads, when it reads one. */
function tableAfterFrom(read: TokenReader): string | null {
  const words = /\bfrom\s+(?:"((?:[^"]|"")+)"|([a-z_][a-z0-9_]*))/i.exec(read.sql);
  if (!words) return null;
  read.skipStatement();
  return words[1]?.replaceAll('""', '"') ?? words[2]!.toLowerCase();
}

function item(read: TokenReader): SelectItem {
  const found = call(read) ?? literal(read.expression());
  if (read.word('as')) found.column = { ...found.column, name: read.name() };
  else if (read.next.kind === 'name') found.column = { ...found.column, name: read.name() };
  return found;
}

function call(read: TokenReader): SelectItem | null {
  const name = read.next.text;
  if (read.next.kind !== 'word') return null;
  if (plainWords[name]) {
    read.take();
    return { column: { name, type: typeIds.text, size: -1 }, call: 'current_user', argument: null };
  }
  const known = Object.hasOwn(functions, name) ? functions[name]! : null;
  if (!known) return null;
  read.take();
  read.must('(');
  const argument = known.argument ? read.expression() : null;
  read.must(')');
  return { column: { name, type: known.type, size: known.size }, call: name, argument };
}

const castTypes: Record<string, [number, number]> = {
  int: [typeIds.int4, 4],
  int4: [typeIds.int4, 4],
  integer: [typeIds.int4, 4],
  bool: [typeIds.bool, 1],
  text: [typeIds.text, -1],
};

function literal(argument: Expression): SelectItem {
  let column: Column = { name: '?column?', type: typeIds.text, size: -1 };
  if (argument.kind === 'text') {
    const [type, size] = literalTypes[argument.type]!;
    column = { name: argument.cast ? argument.type : '?column?', type, size };
  } else if (argument.kind === 'place' && argument.cast) {
    const [type, size] = castTypes[argument.cast] ?? castTypes.text!;
    column = {
      name: argument.cast === 'int' || argument.cast === 'integer' ? 'int4' : argument.cast,
      type,
      size,
    };
  }
  return { column, call: null, argument };
}
