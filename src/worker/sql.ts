import { hash } from 'node:crypto';
import type { Endpoint } from '../pools/pool.ts';
import type { SubmitMessage } from './protocol.ts';

export interface Statements {
  insertRow: string;
  insertKey: string;
}

const columns = ['trial', 'session', 'seq', 'attempt', 'row', 'of', 'payload_sha', 'valid'];

interface Dialect {
  quote(name: string): string;
  /** Of the nth value, from 1. */
  place(n: number): string;
  /** Ends the insert of a key: a key that is there is no error. */
  keyEnd: string;
}

const postgres: Dialect = {
  quote: name => `"${name.replaceAll('"', '""')}"`,
  place: n => `$${n}`,
  keyEnd: ' ON CONFLICT DO NOTHING',
};

/**
 * A key that is there is error 1062. INSERT IGNORE would say nothing of other errors either, and to ON DUPLICATE
 * KEY UPDATE the drivers that count found rows, mysql2 for one, answer 1 whether the key was there or not.
 */
const mysql: Dialect = {
  quote: name => `\`${name.replaceAll('`', '``')}\``,
  place: () => '?',
  keyEnd: '',
};

const dialects: Record<Endpoint['engine'], Dialect> = { postgres, mariadb: mysql, mysql };

/** The two statements of the workload. Quoted: `row` and `of` are reserved words somewhere. */
export function statements(engine: Endpoint['engine'], tables: { writes: string; keys: string }): Statements {
  const { quote, place, keyEnd } = dialects[engine];
  const insert = (table: string, into: readonly string[]) => {
    const places = into.map((_, n) => place(n + 1)).join(', ');
    return `INSERT INTO ${quote(table)} (${into.map(quote).join(', ')}) VALUES (${places})`;
  };
  return {
    insertRow: insert(tables.writes, columns),
    insertKey: insert(tables.keys, ['trial', 'session', 'seq']) + keyEnd,
  };
}

/** The values of row `row` (from 0): the last row of a planned rejection breaks the CHECK. */
export function rowValues(trial: string, submit: SubmitMessage, attempt: number, row: number): unknown[] {
  const { session, seq, rows } = submit;
  const sha = hash('sha256', `${trial}:${session}:${seq}:${row}`);
  const valid = submit.valid || row < rows - 1;
  return [trial, session, seq, attempt, row, rows, sha, valid];
}
