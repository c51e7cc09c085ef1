import type { Insert } from './statement.ts';
import type { TokenReader } from './token-reader.ts';

/** INSERT INTO name [(columns)] VALUES (...), ... [ON CONFLICT ...] [RETURNING ...] */
export function parseInsert(read: TokenReader): Insert {
  read.must('into');
  const table = read.tableName();
  const isList = read.next.kind === 'sign' && read.next.text === '(';
  const columns = isList ? read.list(() => read.name()) : null;
  read.must('values');
  const rows = [read.list(() => read.expression())];
  while (read.sign(',')) rows.push(read.list(() => read.expression()));
  const insert: Insert = {
    kind: 'insert',
    table,
    columns,
    rows,
    onConflict: false,
    reads: false,
    plan: null,
  };
  if (read.word('on')) onConflict(read, insert);
  if (read.word('returning')) {
    insert.reads = true;
    read.skipStatement();
  }
  return insert;
}

function onConflict(read: TokenReader, insert: Insert): void {
  read.must('conflict');
  insert.onConflict = true;
  if (read.next.text === '(') {
    read.list(() => read.name());
    insert.reads = true;
  }
  read.must('do');
  if (read.word('nothing')) return;
  read.must('update');
  insert.reads = true;
  read.skipStatement();
}
