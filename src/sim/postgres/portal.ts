import { protocolViolation, SqlError } from './errors.ts';
import { planOf } from './insert.ts';
import { parameterDescription } from './messages.ts';
import type { SqlCache } from './sql.ts';
import { type Parsed, type Statement, typeIds } from './statement.ts';
import type { Store } from './store.ts';
import { decodeBinary, decodeText, type Value } from './values.ts';
import type { Wire } from './wire.ts';

/** Prepared statements and portals of the extended protocol. */

export interface Prepared {
  parsed: Parsed;
  /** null: an empty query. */
  statement: Statement | null;
  /** Types the client declared, 0 where it left it to the server. */
  declared: number[];
}

export interface Portal {
  prepared: Prepared;
  values: Value[];
  /** Its rows were sent. */
  done: boolean;
}

const none: number[] = [];

/** Parse, after its name. */
export function readParse(wire: Wire, at: number, sql: SqlCache): Prepared {
  const zero = wire.zero(at);
  const after = zero + 1;
  const parsed = sql.parseBytes(wire.bytes, at, zero);
  if (parsed.statements.length > 1)
    throw new SqlError('42601', 'cannot insert multiple commands into a prepared statement');
  const statement = parsed.statements[0] ?? null;
  const count = wire.bytes.readInt16BE(after);
  if (count === 0) return { parsed, statement, declared: none };
  const declared: number[] = [];
  for (let n = 0; n < count; n += 1) declared.push(wire.bytes.readInt32BE(after + 2 + 4 * n));
  return { parsed, statement, declared };
}

/** What PostgreSQL finds wrong before it is run. */
export function checkPrepared({ parsed, statement }: Prepared, store: Store): void {
  if (statement?.kind === 'insert') planOf(statement, store, parsed.text);
}

/** Bind, after its names: the parameters as values. */
export function readBind(wire: Wire, at: number, prepared: Prepared, name: string, store: Store): Value[] {
  const { bytes } = wire;
  const formats = bytes.readInt16BE(at);
  let next = at + 2 + 2 * formats;
  const count = bytes.readInt16BE(next);
  next += 2;
  const expected = Math.max(prepared.parsed.places, prepared.declared.length);
  if (count !== expected) {
    const what = `bind message supplies ${count} parameters, but prepared statement "${name}" requires ${expected}`;
    throw new SqlError('08P01', what);
  }
  const columns =
    prepared.statement?.kind === 'insert'
      ? planOf(prepared.statement, store, prepared.parsed.text).places
      : null;
  const values: Value[] = new Array(count);
  for (let n = 0; n < count; n += 1) {
    const size = bytes.readInt32BE(next);
    next += 4;
    if (size < 0) {
      values[n] = null;
      continue;
    }
    if (next + size > wire.stop) throw protocolViolation('insufficient data left in message');
    const format = formats === 0 ? 0 : bytes.readInt16BE(at + 2 + 2 * (formats === 1 ? 0 : n));
    const type = columns?.[n]?.type ?? castType(prepared.parsed.casts[n]);
    values[n] = (format === 0 ? decodeText : decodeBinary)(type, bytes, next, next + size);
    next += size;
  }
  return values;
}

function castType(cast: string | undefined): 'int4' | 'bool' | 'text' {
  if (cast === 'int' || cast === 'int4' || cast === 'integer') return 'int4';
  return cast === 'bool' || cast === 'boolean' ? 'bool' : 'text';
}

/** ParameterDescription. */
export function describeParameters({ parsed, statement, declared }: Prepared, store: Store): Buffer {
  const columns = statement?.kind === 'insert' ? planOf(statement, store, parsed.text).places : [];
  const types: number[] = [];
  for (let n = 0; n < Math.max(parsed.places, declared.length); n += 1) {
    const own = typeIds[columns[n]?.type ?? castType(parsed.casts[n])];
    types.push(declared[n] || own);
  }
  return parameterDescription(types);
}
