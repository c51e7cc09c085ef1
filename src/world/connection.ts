import { Socket } from 'node:net';
import pg from 'pg';
import { type Clock, within } from '../clock.ts';

/** Where and as whom the harness itself connects. */
export interface Address {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

export type Row = Record<string, unknown>;

/** A connection of the harness's own. Everything on it has a limit; what outlives it destroys the connection. */
export interface Connection {
  readonly alive: boolean;
  query(sql: string, values?: readonly unknown[], limitMs?: number): Promise<Row[]>;
  /** Says goodbye and closes; at most 500 ms. */
  end(): Promise<void>;
  destroy(): void;
}

export const queryLimitMs = 10_000;
const endLimitMs = 500;

/** A limit of ours was reached. `code` stands where drivers put theirs. */
class LimitError extends Error {
  override name = 'LimitError';
  readonly code = 'timeout';
}

/** SQLSTATE, errno name or `timeout`; the message when there is none of them. */
export function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}

/** The server answered with this error: the connection itself is well. */
export const isAnswer = (error: unknown): boolean => error instanceof pg.DatabaseError;

async function limited<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  work: Promise<T>,
  socket: Socket,
): Promise<T> {
  const late = Symbol('late');
  const value = await within(clock, limitMs, work, late);
  if (value !== late) return value as T;
  work.catch(() => {});
  socket.destroy();
  throw new LimitError(`${what} took longer than ${limitMs} ms`);
}

function makeClient(address: Address, socket: Socket): pg.Client {
  const client = new pg.Client({
    ...address,
    ssl: false,
    application_name: 'poolsoak',
    // Given, so that PGOPTIONS of the user's environment is not taken.
    options: '-c client_min_messages=warning',
    stream: () => socket,
  });
  // Without a listener a lost connection would end the harness.
  client.on('error', () => {});
  return client;
}

/** Connects and authenticates within `limitMs`. Rejects with the server's or the socket's error. */
export async function connect(clock: Clock, address: Address, limitMs: number): Promise<Connection> {
  const socket = new Socket();
  const client = makeClient(address, socket);
  let alive = true;
  socket.once('close', () => {
    alive = false;
  });
  const where = `${address.host}:${address.port}`;
  try {
    await limited(clock, limitMs, `connecting to ${where}`, client.connect(), socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    get alive() {
      return alive && !socket.destroyed && !socket.readableEnded;
    },
    async query(sql, values = [], limit = queryLimitMs) {
      const result = client.query<Row>(sql, [...values]);
      return (await limited(clock, limit, `a query on ${where}`, result, socket)).rows;
    },
    async end() {
      await within(
        clock,
        endLimitMs,
        client.end().catch(() => {}),
        null,
      );
      socket.destroy();
    },
    destroy: () => socket.destroy(),
  };
}
