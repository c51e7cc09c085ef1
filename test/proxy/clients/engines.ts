import type { Socket } from 'node:net';
import mysql from 'mysql2';
import pg from 'pg';
import { type MariaDb, noMariaDb, startMariaDb } from '../../fixtures/mariadb.ts';
import { openTestWorld } from '../../world/support.ts';

/** What a query or a dial came to: 'ok', the code of a socket's error, or "code: message" of the library's own. */
export type Outcome = string;

/** One connection of a client library, and all it told its owner unasked. */
export interface Session {
  /** The server's number for it. */
  id: number;
  /** Its own port, by which the proxy knows it. */
  port: number;
  events: string[];
  query(sql: string, timeoutMs?: number): Promise<Outcome>;
  /** Ends it in the library's polite way. */
  end(): Promise<void>;
  destroy(): void;
}

export interface DialOptions {
  connectTimeoutMs?: number;
}

/** What the server knows of a session. */
export type ServerSide = 'idle' | 'active' | 'gone';

export interface Engine {
  name: 'pg' | 'mysql2';
  address: string;
  dial(port: number, options?: DialOptions): Promise<Session | Outcome>;
  serverSide(id: number): Promise<ServerSide>;
  sql: { sleep(ms: number): string; row(bytes: number): string };
  close(): Promise<void>;
}

export interface EngineKind {
  name: Engine['name'];
  absent: string | null;
  open(): Promise<Engine>;
}

export const words = (error: unknown): Outcome => {
  const { code, message } = error as { code?: string; message: string };
  // The kernel's word is the code; whether it came of a read, a write or a connect is chance.
  return code && /\bE[A-Z]+\b/.test(message) && message.includes(code) ? code : `${code ?? '-'}: ${message}`;
};

const outcome = (work: Promise<unknown>): Promise<Outcome> => work.then(() => 'ok', words);

type Login = { host: string; user: string; password: string; database: string };

async function dialPg(
  login: Login,
  port: number,
  { connectTimeoutMs }: DialOptions,
): Promise<Session | Outcome> {
  const client = new pg.Client({
    ...login,
    port,
    ssl: false,
    ...(connectTimeoutMs && { connectionTimeoutMillis: connectTimeoutMs }),
  });
  const events: string[] = [];
  client.on('error', error => events.push(words(error)));
  client.on('end', () => events.push('end'));
  const dialed = await outcome(client.connect());
  if (dialed !== 'ok') return dialed;
  // What its types do not tell.
  const { processID, connection } = client as unknown as {
    processID: number;
    connection: { stream: Socket };
  };
  return {
    id: processID,
    port: connection.stream.localPort!,
    events,
    query: (text, timeoutMs) =>
      outcome(client.query({ text, ...(timeoutMs && { query_timeout: timeoutMs }) } as pg.QueryConfig)),
    end: () => client.end(),
    destroy: () => void connection.stream.destroy(),
  };
}

async function openPg(): Promise<Engine> {
  const it = await openTestWorld({ appSlots: 60 });
  const { host, user, password, database, port } = it.world.endpoint;
  const login = { host, user, password, database };
  const admin = new pg.Client({ ...login, port, ssl: false });
  await admin.connect();
  const at = (await admin.query('SELECT inet_server_port() AS port')).rows[0].port as number;
  return {
    name: 'pg',
    address: `${host}:${at}`,
    dial: (through, options = {}) => dialPg(login, through, options),
    async serverSide(id) {
      const { rows } = await admin.query('SELECT state FROM pg_stat_activity WHERE pid = $1', [id]);
      return rows.length === 0 ? 'gone' : rows[0].state === 'active' ? 'active' : 'idle';
    },
    sql: {
      sleep: ms => `SELECT pg_sleep(${ms / 1000})`,
      row: bytes => `SELECT repeat('x', ${bytes}) AS x`,
    },
    async close() {
      await admin.end();
      await it.close();
    },
  };
}

function dialMysql(
  login: Login,
  port: number,
  { connectTimeoutMs }: DialOptions,
): Promise<Session | Outcome> {
  const connection = mysql.createConnection({
    ...login,
    port,
    ...(connectTimeoutMs && { connectTimeout: connectTimeoutMs }),
  });
  const events: string[] = [];
  connection.on('error', error => events.push(words(error)));
  connection.on('end', () => events.push('end'));
  const query = (sql: string, timeoutMs?: number) =>
    new Promise<Outcome>(resolve => {
      const options = { sql, ...(timeoutMs && { timeout: timeoutMs }) };
      connection.query(options, error => resolve(error ? words(error) : 'ok'));
    });
  const end = () => new Promise<void>(resolve => connection.end(() => resolve()));
  return new Promise(resolve => {
    connection.connect(error => {
      if (error) return resolve(words(error));
      const { stream } = connection as unknown as { stream: Socket };
      resolve({
        id: connection.threadId!,
        port: stream.localPort!,
        events,
        query,
        end,
        destroy: () => connection.destroy(),
      });
    });
  });
}

async function openMysql(): Promise<Engine> {
  const server: MariaDb = await startMariaDb();
  const { host, port, user, password, database } = server;
  const login = { host, user, password, database };
  const admin = mysql.createConnection({ ...login, port }).promise();
  return {
    name: 'mysql2',
    address: `${host}:${port}`,
    dial: (through, options = {}) => dialMysql(login, through, options),
    async serverSide(id) {
      const sql = 'SELECT command FROM information_schema.processlist WHERE id = ?';
      const [rows] = await admin.query<mysql.RowDataPacket[]>(sql, [id]);
      return rows.length === 0 ? 'gone' : rows[0]!.command === 'Sleep' ? 'idle' : 'active';
    },
    sql: {
      sleep: ms => `SELECT SLEEP(${ms / 1000})`,
      row: bytes => `SELECT REPEAT('x', ${bytes}) AS x`,
    },
    async close() {
      await admin.end();
      await server.close();
    },
  };
}

export const engines: EngineKind[] = [
  { name: 'pg', absent: null, open: openPg },
  { name: 'mysql2', absent: noMariaDb, open: openMysql },
];
