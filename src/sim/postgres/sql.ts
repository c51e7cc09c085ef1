import { UnknownSqlError } from './errors.ts';
import { parseInsert } from './sql-insert.ts';
import { parseSelect } from './sql-select.ts';
import type { Modes, Parsed, Statement } from './statement.ts';
import { TokenReader } from './token-reader.ts';

/** SQL to statements, each text once: an application has few. */

const cacheMax = 1_000;
/** Longer ones are not kept: values written into them make each unlike the others. */
const cachedCharsMax = 4_000;

interface Slot {
  bytes: Buffer;
  parsed: Parsed;
}
const slots = 256;

export class SqlCache {
  #known = new Map<string, Parsed>();
  /** The same by their bytes, so that no string is made of what has come before. */
  #slots: (Slot | undefined)[] = new Array(slots);

  /** Throws UnknownSqlError. */
  parseBytes(bytes: Buffer, start: number, stop: number): Parsed {
    const length = stop - start;
    const at = (length * 31 + (length > 0 ? bytes[start + (length >> 1)]! : 0)) % slots;
    const slot = this.#slots[at];
    if (slot && slot.bytes.length === length && slot.bytes.compare(bytes, start, stop) === 0)
      return slot.parsed;
    const parsed = this.parse(bytes.toString('utf8', start, stop));
    if (length <= cachedCharsMax)
      this.#slots[at] = { bytes: Buffer.from(bytes.subarray(start, stop)), parsed };
    return parsed;
  }

  /** Throws UnknownSqlError. */
  parse(text: string): Parsed {
    const known = this.#known.get(text);
    if (known) return known;
    const parsed = parseSql(text);
    if (text.length > cachedCharsMax) return parsed;
    if (this.#known.size >= cacheMax) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(text, parsed);
    return parsed;
  }
}

// postgres.js asks this of a new server, for its arrays.
const typesQuery = 'select b.oid, b.typarray';

export function parseSql(text: string): Parsed {
  if (text.trimStart().startsWith(typesQuery))
    return { text, statements: [{ kind: 'types' }], places: 0, casts: [] };
  const read = new TokenReader(text);
  const statements: Statement[] = [];
  while (!read.atEnd) {
    if (read.sign(';')) continue;
    statements.push(parseStatement(read));
    if (!read.atEnd && !read.sign(';')) throw read.unknown();
  }
  return { text, statements, places: read.places, casts: read.casts };
}

type Parse = (read: TokenReader) => Statement;

const parsers: Record<string, Parse> = {
  insert: parseInsert,
  select: parseSelect,
  begin: read => {
    void (read.word('work') || read.word('transaction'));
    return { kind: 'begin', tag: 'BEGIN', modes: modes(read) };
  },
  start: read => {
    read.must('transaction');
    return { kind: 'begin', tag: 'START TRANSACTION', modes: modes(read) };
  },
  commit: read => ended(read, 'commit'),
  end: read => ended(read, 'commit'),
  abort: read => ended(read, 'rollback'),
  rollback: parseRollback,
  savepoint: read => ({ kind: 'savepoint', name: read.name() }),
  release: read => {
    read.word('savepoint');
    return { kind: 'release', name: read.name() };
  },
  set: parseSet,
  reset: read =>
    read.word('all') ? { kind: 'reset', name: null } : { kind: 'reset', name: settingName(read) },
  show: read => {
    if (!read.word('transaction')) return { kind: 'show', name: settingName(read) };
    read.must('isolation');
    read.must('level');
    return { kind: 'show', name: 'transaction_isolation' };
  },
  discard: read => ({ kind: 'discard', what: read.anyWord().toUpperCase() }),
  deallocate: read => {
    read.word('prepare');
    return { kind: 'deallocate', name: read.word('all') ? null : read.name() };
  },
  update: read => touch(read, 'update'),
  delete: read => {
    read.must('from');
    return touch(read, 'delete');
  },
  truncate: read => {
    read.word('table');
    return touch(read, 'truncate');
  },
  create: read => {
    read.must('table');
    read.skipStatement();
    return { kind: 'create', text: read.sql };
  },
};

function parseStatement(read: TokenReader): Statement {
  const parse = parsers[read.anyWord()];
  if (!parse) throw read.unknown();
  return parse(read);
}

function ended(read: TokenReader, kind: 'commit' | 'rollback'): Statement {
  void (read.word('work') || read.word('transaction'));
  if (read.word('and')) {
    read.must('no');
    read.must('chain');
  }
  return { kind };
}

function parseRollback(read: TokenReader): Statement {
  void (read.word('work') || read.word('transaction'));
  if (!read.word('to')) return ended(read, 'rollback');
  read.word('savepoint');
  return { kind: 'rollbackTo', name: read.name() };
}

function touch(read: TokenReader, verb: 'update' | 'delete' | 'truncate'): Statement {
  const table = read.name();
  read.skipStatement();
  return { kind: 'touch', verb, table, text: read.sql };
}

function settingName(read: TokenReader): string {
  if (read.word('time')) {
    read.must('zone');
    return 'TimeZone';
  }
  let name = read.name();
  while (read.sign('.')) name += `.${read.name()}`;
  return name;
}

function isolation(read: TokenReader): string {
  read.must('level');
  if (read.word('serializable')) return 'serializable';
  if (read.word('repeatable')) {
    read.must('read');
    return 'repeatable read';
  }
  read.must('read');
  if (read.word('uncommitted')) return 'read uncommitted';
  read.must('committed');
  return 'read committed';
}

function readOnly(read: TokenReader): boolean {
  if (read.word('only')) return true;
  read.must('write');
  return false;
}

function modes(read: TokenReader): Modes {
  const found: Modes = {};
  for (;;) {
    if (read.word('isolation')) found.isolation = isolation(read);
    else if (read.word('read')) found.readOnly = readOnly(read);
    else if (read.word('not')) read.must('deferrable');
    else if (!read.word('deferrable')) return found;
    read.sign(',');
  }
}

function parseSet(read: TokenReader): Statement {
  const session = read.word('session');
  if (session && read.word('characteristics')) {
    read.must('as');
    read.must('transaction');
    return { kind: 'setModes', session: true, modes: modes(read) };
  }
  const local = !session && read.word('local');
  if (read.word('transaction')) return { kind: 'setModes', session: false, modes: modes(read) };
  if (read.word('names')) return { kind: 'set', local, name: 'client_encoding', value: settingValue(read) };
  const zone = read.word('time');
  if (zone) read.must('zone');
  const name = zone ? 'TimeZone' : settingName(read);
  if (!zone && !read.sign('=') && !read.word('to')) throw read.unknown();
  return { kind: 'set', local, name, value: settingValue(read) };
}

/** null: DEFAULT. */
function settingValue(read: TokenReader): string | null {
  if (read.word('default')) return null;
  const parts: string[] = [];
  do {
    const minus = read.sign('-') ? '-' : '';
    const token = read.take();
    if (!['word', 'name', 'number', 'string'].includes(token.kind))
      throw new UnknownSqlError(read.sql, 'SET');
    parts.push(minus + token.text);
  } while (read.sign(','));
  return parts.join(', ');
}
