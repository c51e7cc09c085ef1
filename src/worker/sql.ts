import { hash } from 'node:crypto';
import type { Endpoint } from '../pools/pool.ts';
import type { SubmitMessage } from './protocol.ts';

export interface Statements {
  insertRow: string;
  insertKey: string;
}

const columns = ['trial', 'session', 'seq', 'attempt', 'row', 'of', 'payload_sha', 'valid'];

/** The two statements of the workload. Quoted: `row` and `of` are reserved words somewhere. */
export function statements(engine: Endpoint['engine'], tables: { writes: string; keys: string }): Statements {
  if (engine !== 'postgres') throw new Error(`no statements for engine ${engine} yet: postgres`);
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const list = columns.map(quote).join(', ');
  const places = columns.map((_, n) => `$${n + 1}`).join(', ');
  return {
    insertRow: `INSERT INTO ${quote(tables.writes)} (${list}) VALUES (${places})`,
    insertKey: `INSERT INTO ${quote(tables.keys)} ("trial", "session", "seq") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
  };
}

/** The values of row `row` (from 0): the last row of a planned rejection breaks the CHECK. */
export function rowValues(trial: string, submit: SubmitMessage, attempt: number, row: number): unknown[] {
  const { session, seq, rows } = submit;
  const sha = hash('sha256', `${trial}:${session}:${seq}:${row}`);
  const valid = submit.valid || row < rows - 1;
  return [trial, session, seq, attempt, row, rows, sha, valid];
}
