import { createRequire } from 'node:module';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { ServerEnd } from '../../../src/sim/net/contract.ts';
import { VirtualSocket } from '../../../src/sim/net/socket.ts';
import { type VirtualStage, virtual } from './virtual-stage.ts';

/** Unmodified drivers over a virtual socket, against servers that know just enough to answer. */

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** Each chunk a client sends as the server hears it; `answer` gets the connection and the number of the chunk. */
function serve(stage: VirtualStage, port: number, greet: (end: ServerEnd) => void, answer: Answer): Buffer[] {
  const heard: Buffer[] = [];
  stage.network.listen(port, end => {
    greet(end);
    return {
      data: chunk => {
        heard.push(chunk);
        answer(end, heard.length);
      },
      end: () => end.end(),
      reset() {},
    };
  });
  return heard;
}

type Answer = (end: ServerEnd, count: number) => void;

describe('pg', () => {
  const ready = '5a 00000005 49';
  const authenticated = bytes(`52 00000008 00000000 ${ready}`);
  const selected = bytes(
    `54 0000001a 0001 6e00 00000000 0000 00000017 0004 ffffffff 0000
     44 0000000b 0001 00000001 31 43 0000000d 53454c454354203100 ${ready}`.replaceAll('\n', ''),
  );

  test('connects, queries and ends', () =>
    virtual(async stage => {
      const heard = serve(
        stage,
        5433,
        () => {},
        (end, count) => {
          if (count <= 2) end.send(count === 1 ? authenticated : selected);
        },
      );
      const client = new pg.Client({
        host: '127.0.0.1',
        port: 5433,
        user: 'app',
        database: 'app',
        stream: () => new VirtualSocket(stage.network) as never,
      });
      await client.connect();
      expect(heard[0]!.subarray(4, 8)).toEqual(bytes('00030000'));
      expect(heard[0]!.toString()).toContain('user\0app\0database\0app\0');
      const { rows } = await client.query('SELECT 1 AS n');
      expect([rows, heard[1]!.toString('latin1', 5)]).toEqual([[{ n: 1 }], 'SELECT 1 AS n\0']);
      await client.end();
      expect(heard[2]).toEqual(bytes('58 00000004'));
    }));

  test('a connection that breaks is told as pg tells it', () =>
    virtual(async stage => {
      const ends: ServerEnd[] = [];
      const greet = (end: ServerEnd) => void ends.push(end);
      serve(stage, 5433, greet, end => end.send(authenticated));
      const connect = async () => {
        const client = new pg.Client({
          host: '127.0.0.1',
          port: 5433,
          stream: () => new VirtualSocket(stage.network) as never,
        });
        const errors: string[] = [];
        client.on('error', error => errors.push(error.message));
        await client.connect();
        return errors;
      };
      const [reset, ended] = [await connect(), await connect()];
      ends[0]!.reset();
      ends[1]!.close();
      await stage.sleepMs(1);
      expect(reset).toEqual(['read ECONNRESET', 'Connection terminated unexpectedly']);
      expect(ended).toEqual(['Connection terminated unexpectedly']);
    }));
});

/** Not a dependency: looked for where this is installed. */
function mysql2(): { createConnection(options: object): MysqlConnection } | null {
  try {
    return createRequire(import.meta.url)('mysql2');
  } catch {
    return null;
  }
}

interface MysqlConnection {
  on(event: 'connect' | 'error', heard: (error: Error) => void): void;
  query(sql: string, done: (error: Error | null, result: { affectedRows: number }) => void): void;
  end(): void;
}

describe.skipIf(mysql2() === null)('mysql2', () => {
  const packet = (sequence: number, payload: Buffer): Buffer =>
    Buffer.concat([Buffer.from([payload.length, 0, 0, sequence]), payload]);
  const greeting = packet(
    0,
    Buffer.concat([
      bytes('0a'),
      Buffer.from('8.0.0\0'),
      bytes('01000000 6162636465666768 00 ffff 21 0200 0f00 15 00000000000000000000'),
      Buffer.from('ijklmnopqrst\0mysql_native_password\0'),
    ]),
  );
  const ok = (affected: number) => Buffer.from([0, affected, 0, 2, 0, 0, 0]);

  test('reads the greeting, queries and ends', () =>
    virtual(async stage => {
      const heard = serve(
        stage,
        3306,
        end => end.send(greeting),
        (end, count) => {
          if (count === 3) end.close();
          else end.send(packet(count === 1 ? 2 : 1, ok(count === 1 ? 0 : 3)));
        },
      );
      const socket = new VirtualSocket(stage.network).connect(3306, '127.0.0.1');
      const connection = mysql2()!.createConnection({ user: 'app', stream: socket });
      await new Promise<void>((resolve, reject) => {
        connection.on('connect', () => resolve());
        connection.on('error', reject);
      });
      expect(heard[0]!.toString('latin1')).toContain('app\0');
      const result = await new Promise<{ affectedRows: number }>((resolve, reject) =>
        connection.query('UPDATE t SET n = 1', (error, each) => (error ? reject(error) : resolve(each))),
      );
      expect([result.affectedRows, heard[1]!.toString('latin1', 5)]).toEqual([3, 'UPDATE t SET n = 1']);
      const closed = new Promise(resolve => socket.on('close', resolve));
      connection.end();
      await closed;
      expect(heard[2]).toEqual(packet(0, bytes('01')));
    }));
});
