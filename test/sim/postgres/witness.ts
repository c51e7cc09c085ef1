import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { type Clock, waitUntil } from '../../../src/clock.ts';

type Innards = {
  connection: { stream: Duplex };
  processID: number;
  secretKey: number;
};

/** A pg client and everything that happens to it. */
export class Witness {
  readonly client: pg.Client;
  /** `ended`, `error <code>`, `notice <severity> <code>`, in their order. */
  readonly seen: string[] = [];
  readonly messages: string[] = [];
  readonly #clock: Clock;
  readonly #config: pg.ClientConfig;

  constructor(config: pg.ClientConfig, clock: Clock) {
    this.client = new pg.Client({ ssl: false, ...config });
    this.#clock = clock;
    this.#config = config;
    this.client.on('error', error => {
      this.seen.push(`error ${codeOf(error)}`);
      this.messages.push(error.message);
    });
    this.client.on('notice', notice => {
      this.seen.push(`notice ${notice.severity} ${notice.code}`);
      this.messages.push(notice.message ?? '');
    });
    this.client.on('end', () => this.seen.push('ended'));
  }

  static async open(config: pg.ClientConfig, clock: Clock): Promise<Witness> {
    const witness = new Witness(config, clock);
    await witness.client.connect();
    return witness;
  }

  get pid(): number {
    return (this.client as unknown as Innards).processID;
  }

  get secret(): number {
    return (this.client as unknown as Innards).secretKey;
  }

  get socket(): Duplex {
    return (this.client as unknown as Innards).connection.stream;
  }

  /** Another connection to the same server. */
  newSocket(): Duplex {
    const { stream, host, port } = this.#config;
    const socket = (stream as unknown as () => Socket)();
    return socket.connect(port!, host!);
  }

  /** `command rows`, or the error's SQLSTATE. */
  async ask(text: string, values?: unknown[]): Promise<string> {
    try {
      const result = (await this.client.query(text, values)) as pg.QueryResult | pg.QueryResult[];
      const all = Array.isArray(result) ? result : [result];
      return all.map(({ command, rowCount }) => `${command} ${rowCount ?? '-'}`).join('; ');
    } catch (error) {
      return codeOf(error);
    }
  }

  /** The same with the error's message. */
  async message(text: string, values?: unknown[]): Promise<string> {
    try {
      await this.client.query(text, values);
      return 'no error';
    } catch (error) {
      const { severity, message, detail, constraint } = error as pg.DatabaseError;
      return [severity, codeOf(error), message, detail, constraint].filter(part => part).join(' | ');
    }
  }

  async ended(limitMs = 3_000): Promise<string[]> {
    await waitUntil(this.#clock, () => this.seen.includes('ended'), { everyMs: 5, limitMs });
    return this.seen;
  }

  /** The server's messages to `sent`, which goes past pg: one word each, until `until` has come so often. */
  async transcript(sent: Buffer[], readies: number, limitMs = 3_000): Promise<string[]> {
    const { socket } = this;
    socket.removeAllListeners('data');
    const heard: string[] = [];
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
        const end = 1 + rest.readInt32BE(1);
        heard.push(wordOf(rest.subarray(0, end)));
        rest = rest.subarray(end);
      }
    });
    for (const bytes of sent) socket.write(bytes);
    const done = () => heard.filter(word => word.startsWith('Z')).length >= readies;
    await waitUntil(this.#clock, done, { everyMs: 5, limitMs });
    return heard;
  }
}

/** Type, and what of the body is the same on every server. */
function wordOf(message: Buffer): string {
  const type = String.fromCharCode(message[0]!);
  const body = message.subarray(5);
  const strings = body.toString('utf8').split('\0');
  if (type === 'E' || type === 'N') {
    const field = (code: string) => strings.find(each => each.startsWith(code))?.slice(1);
    return `${type} ${field('V')} ${field('C')} ${field('M')}`;
  }
  if (type === 'C') return `C ${strings[0]}`;
  if (type === 'S') return `S ${strings[0]}=${strings[1]}`;
  if (type === 'Z') return `Z ${body.toString('latin1')}`;
  if (type === 'T' || type === 't' || type === 'D') return `${type} ${body.toString('hex')}`;
  return type;
}

export function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
