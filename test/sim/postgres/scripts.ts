import { serialize } from 'pg-protocol';

/** Messages a driver could send, and what PostgreSQL answers to them. */

export interface Tables {
  writes: string;
  keys: string;
}

export interface Script {
  name: string;
  /** Given the tables: what is sent, in one piece. */
  send(tables: Tables): Buffer[];
  /** ReadyForQuery messages to wait for. */
  readies: number;
}

const sha = 'ab'.repeat(32);
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const q = (text: string): Buffer => serialize.query(text);
const parse = (text: string, name = '', types: number[] = []): Buffer =>
  serialize.parse({ text, name, types });
const bind = (values: unknown[] = [], statement = '', portal = ''): Buffer =>
  serialize.bind({ values, statement, portal } as never);
const portal = (name = ''): Buffer => serialize.describe({ type: 'P', name });
const statement = (name = ''): Buffer => serialize.describe({ type: 'S', name });
const execute = (rows = 0, name = ''): Buffer => serialize.execute({ portal: name, rows });
const close = (name: string): Buffer => serialize.close({ type: 'S', name });
const sync = serialize.sync();
const flush = serialize.flush();

export const insertWrite = ({ writes }: Tables): string =>
  `INSERT INTO "${writes}" ("trial", "session", "seq", "attempt", "row", "of", "payload_sha", "valid") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;
export const insertKey = ({ keys }: Tables): string =>
  `INSERT INTO "${keys}" ("trial", "session", "seq") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`;
export const row = (seq: number, valid = true): unknown[] =>
  ['t', 1, seq, 1, 0, 1, sha, valid].map(value => (value === null ? null : String(value)));

const literal = ({ writes }: Tables, seq: number, valid = true): string =>
  `INSERT INTO ${writes} VALUES ('t', 1, ${seq}, 1, 0, 1, '${sha}', ${valid})`;

const simple = (name: string, ...texts: string[]): Script => ({
  name,
  send: () => texts.map(q),
  readies: texts.length,
});
const simpleOn = (name: string, texts: (tables: Tables) => string[]): Script => ({
  name,
  send: tables => texts(tables).map(q),
  readies: texts({ writes: '', keys: '' }).length,
});
const extended = (name: string, send: (tables: Tables) => Buffer[], readies = 1): Script => ({
  name,
  send,
  readies,
});

export const scripts: Script[] = [
  simple('empty queries', '', ';;', '-- nothing'),
  simple('literals', 'SELECT 1', 'SELECT 1 AS x', 'SELECT \'a\' AS "B", 2.5, true, NULL, -3'),
  simple('a literal cast', "SELECT 'a'::text, 1::int4"),
  simple(
    'the block',
    'BEGIN',
    'SELECT 1',
    'COMMIT',
    'BEGIN',
    'ROLLBACK',
    'START TRANSACTION READ WRITE',
    'END',
  ),
  simple('no block to end', 'COMMIT', 'ROLLBACK', 'BEGIN', 'BEGIN', 'COMMIT'),
  simple(
    'modes',
    'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY',
    'SHOW transaction_isolation',
    'COMMIT',
    'SHOW transaction_isolation',
  ),
  simpleOn('read only', tables => ['BEGIN READ ONLY', literal(tables, 1), 'COMMIT']),
  simpleOn('a failed block', tables => [
    'BEGIN',
    literal(tables, 900, false),
    'SELECT 1',
    '',
    literal(tables, 900),
    'COMMIT',
    'SELECT 1',
  ]),
  simpleOn('savepoints', tables => [
    'BEGIN',
    'SAVEPOINT a',
    literal(tables, 901, false),
    'SAVEPOINT b',
    'ROLLBACK TO a',
    'RELEASE SAVEPOINT a',
    'ROLLBACK TO SAVEPOINT a',
    'ROLLBACK',
    'SAVEPOINT c',
  ]),
  simpleOn('several statements', tables => [
    `${literal(tables, 902)}; ${literal(tables, 903)}`,
    `${literal(tables, 904)}; ${literal(tables, 905, false)}; SELECT 1`,
    `BEGIN; ${literal(tables, 906, false)}; SELECT 1`,
    'SELECT 1',
    'ROLLBACK',
    'BEGIN; COMMIT; SELECT 1',
    `${literal(tables, 907)}; COMMIT; SELECT 1`,
    `${literal(tables, 908)}; ROLLBACK; SELECT 1`,
    `${literal(tables, 909)}; BEGIN; SELECT 1`,
    'COMMIT',
    'SELECT 1; SELECT 2;',
  ]),
  simple(
    'settings',
    'SET lock_timeout = 1500',
    'SHOW lock_timeout',
    "SET lock_timeout TO '2s'",
    'SHOW lock_timeout',
    'RESET lock_timeout',
    'SHOW lock_timeout',
    'SET LOCAL lock_timeout = 5',
    'SHOW lock_timeout',
    "SET lock_timeout = 'soon'",
    'SET lock_timeot = 5',
    "SET application_name = 'x'",
    'BEGIN; SET LOCAL lock_timeout = 500',
    'SHOW lock_timeout',
    'COMMIT',
    'SHOW lock_timeout',
    'BEGIN; SET statement_timeout = 500; ROLLBACK',
    'SHOW statement_timeout',
    'BEGIN; SET statement_timeout = 60000; COMMIT; SHOW statement_timeout',
    'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    'SHOW TRANSACTION ISOLATION LEVEL',
    'DISCARD ALL',
    'SHOW statement_timeout',
    'SET max_connections = 5',
    'SET my.own = 5',
    'SHOW my.own',
    'SHOW nothing_such',
    'RESET ALL',
    'BEGIN',
    'DISCARD ALL',
    'ROLLBACK',
    "SET synchronous_commit = 'sometimes'",
    'SET synchronous_commit TO off',
    'SET TIME ZONE UTC',
  ),
  simpleOn('what the app may not', tables => [
    `SELECT * FROM ${tables.writes}`,
    `DELETE FROM ${tables.keys}`,
    `UPDATE ${tables.keys} SET seq = 1`,
    `TRUNCATE ${tables.keys}`,
    'CREATE TABLE mine (a int)',
    `INSERT INTO ${tables.keys} VALUES ('t', 1, 1) RETURNING seq`,
    `INSERT INTO ${tables.keys} VALUES ('t', 1, 1) ON CONFLICT (trial, session, seq) DO NOTHING`,
    'SELECT * FROM nowhere',
    "INSERT INTO nowhere VALUES ('a')",
  ]),
  simpleOn('wrong rows', tables => [
    `INSERT INTO ${tables.keys} (trial, nope) VALUES ('t', 1)`,
    `INSERT INTO ${tables.keys} (trial, seq) VALUES ('t', 1)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 1, 1, 1)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 'x', 1)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 1, 3000000000)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 1, '3000000000')`,
    `INSERT INTO ${tables.keys} VALUES (NULL, 1, 1)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 1, $1)`,
    `INSERT INTO ${tables.writes} VALUES ('t', 1, 910, 1, 0, 1, '${sha}ff', true)`,
    `INSERT INTO ${tables.writes} VALUES ('t', 1, 910, 1, 0, 1, '${sha}', 'maybe')`,
    `INSERT INTO ${tables.writes} VALUES ('t', 1, 910, 1, 0, 1, '${sha}', NULL)`,
    `INSERT INTO ${tables.writes} VALUES ('t', 1, 910, 1, 0, NULL, '${sha}', false)`,
  ]),
  simpleOn('keys', tables => [
    `INSERT INTO ${tables.keys} VALUES ('t', 7, 1), ('t', 7, 2)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 7, 2)`,
    `INSERT INTO ${tables.keys} VALUES ('t', 7, 2), ('t', 7, 3), ('t', 7, 3) ON CONFLICT DO NOTHING`,
    `INSERT INTO ${tables.keys} VALUES ('u', -7, 2) ON CONFLICT DO NOTHING`,
  ]),
  extended('an insert', tables => [parse(insertWrite(tables)), bind(row(920)), portal(), execute(), sync]),
  extended('a rejected insert, and what follows until Sync', tables => [
    parse(insertWrite(tables)),
    bind(row(921, false)),
    portal(),
    execute(),
    parse('SELECT 1'),
    bind(),
    execute(),
    sync,
  ]),
  extended(
    'null, wrong and missing parameters',
    tables => [
      parse(insertKey(tables), 'k'),
      sync,
      bind(['t', null, '1'], 'k'),
      execute(),
      sync,
      bind(['t', 'x', '1'], 'k'),
      execute(),
      sync,
      bind(['t', '1'], 'k'),
      execute(),
      sync,
      bind(['t', '99999999999', '1'], 'k'),
      execute(),
      sync,
      close('k'),
      sync,
    ],
    6,
  ),
  extended('parameter and row descriptions', tables => [
    parse(insertWrite(tables), 'w'),
    statement('w'),
    parse(insertKey(tables), 'k', [25, 23]),
    statement('k'),
    parse('SELECT 1 AS one', 's'),
    statement('s'),
    parse('SELECT $1::int AS a, $2 AS b', 't'),
    statement('t'),
    parse('BEGIN', 'b'),
    statement('b'),
    parse('', 'e'),
    statement('e'),
    sync,
  ]),
  extended(
    'named statements, used twice',
    tables => [
      parse(insertKey(tables), 'again'),
      bind(['t', '9', '1'], 'again'),
      execute(),
      sync,
      bind(['t', '9', '1'], 'again'),
      execute(),
      sync,
      parse('SELECT 1', 'again'),
      sync,
      q('DEALLOCATE again'),
      q('DEALLOCATE again'),
      bind([], 'again'),
      sync,
      bind([], 'never', 'p'),
      sync,
      execute(0, 'nowhere'),
      sync,
    ],
    8,
  ),
  extended(
    'a pipeline in one transaction',
    tables => [
      parse(insertKey(tables)),
      bind(['t', '10', '1']),
      execute(),
      bind(['t', '10', '2']),
      execute(),
      parse(insertWrite(tables)),
      bind(row(930, false)),
      execute(),
      sync,
      parse(insertKey(tables)),
      bind(['t', '10', '1']),
      execute(),
      sync,
    ],
    2,
  ),
  extended('a block in a pipeline', tables => [
    parse('BEGIN'),
    bind(),
    execute(),
    parse(insertKey(tables)),
    bind(['t', '11', '1']),
    execute(),
    parse('COMMIT'),
    bind(),
    execute(),
    parse('SELECT 1'),
    bind(),
    portal(),
    execute(),
    sync,
  ]),
  extended(
    'a failed block, by parsed statements',
    tables => [
      q('BEGIN'),
      parse(insertWrite(tables)),
      bind(row(931, false)),
      execute(),
      sync,
      parse('SELECT 1'),
      sync,
      parse('COMMIT'),
      bind(),
      portal(),
      execute(),
      sync,
    ],
    4,
  ),
  extended('an empty statement', () => [parse(''), bind(), portal(), execute(), sync]),
  extended('two statements at once', () => [parse('SELECT 1; SELECT 2'), sync]),
  extended('rows by portions', () => [
    parse('SELECT 5 AS five'),
    bind(),
    portal(),
    execute(1),
    execute(1),
    flush,
    sync,
  ]),
  extended(
    'binary parameters',
    tables => [
      parse(insertKey(tables), '', [25, 23, 23]),
      bind([Buffer.from('t'), int32(70), int32(1)]),
      execute(),
      sync,
      parse(insertKey(tables), '', [0, 20, 21]),
      bind(['t', Buffer.concat([int32(0), int32(71)]), int32(2).subarray(2)]),
      execute(),
      sync,
      parse(insertWrite(tables)),
      bind([...row(940).slice(0, 7), Buffer.from([1])]),
      execute(),
      sync,
      parse(insertWrite(tables)),
      bind([...row(941).slice(0, 7), Buffer.from([0])]),
      execute(),
      sync,
    ],
    4,
  ),
  extended(
    'values as people write them',
    tables =>
      ['t', 'f', 'yes', 'OFF', '1', '0', ' true', 'tru', 'maybe', ''].flatMap(valid => [
        parse(insertWrite(tables)),
        bind([...row(942).slice(0, 7), valid]),
        execute(),
        sync,
      ]),
    10,
  ),
  extended(
    'numbers as people write them',
    tables =>
      ['+7', ' 7 ', '-7', '007', '0x10', '7.0', '1e2', '', '2147483647', '2147483648', '12345678901'].flatMap(
        n => [parse(insertKey(tables)), bind(['t', '80', n]), execute(), sync],
      ),
    11,
  ),
  extended(
    'described first, as drivers do that ask for types',
    tables => [
      parse(insertKey(tables), 'later'),
      statement('later'),
      flush,
      bind(['t', '81', '1'], 'later'),
      execute(),
      sync,
      q('BEGIN'),
      bind(['t', '81', '2'], 'later'),
      execute(),
      sync,
      q('COMMIT'),
      close('later'),
      close('never'),
      sync,
    ],
    5,
  ),
  simple('a transaction in one query', 'BEGIN; SELECT 1; COMMIT', 'BEGIN; SELECT 1; ROLLBACK; SELECT 2'),
  simple('comments and case', '/* a */ select 1 as "One" -- b', 'BeGiN transaction', 'Commit WORK'),
  extended('no statement', () => [bind(), execute(), sync]),
  extended('a query amid skipped messages', tables => [
    parse(insertWrite(tables)),
    bind(row(932, false)),
    execute(),
    q('SELECT 1'),
    sync,
  ]),
];
