import type { Clock } from '../clock.ts';
import type { Address } from '../world/connection.ts';
import type { ProbeAnswer } from '../world/world.ts';
import type { Network } from './net/network.ts';
import { VirtualSocket } from './net/socket.ts';

/** PostgreSQL's refusal for lack of slots: the server is up. */
const outOfSlots = '53300';

/**
 * The probe of `world/probe.ts` in as few bytes as the protocol allows: an outage of a minute is probed some
 * hundred times, and a driver's client for each was felt beside a trial of a quarter of a second.
 */
export function probeServer(
  network: Network,
  clock: Clock,
  { port, host, user, password, database }: Address,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  return new Promise(resolve => {
    const socket = new VirtualSocket(network);
    const answer = (code: string | null) => {
      stop();
      socket.destroy();
      resolve({ works: code === null || code === outOfSlots, code });
    };
    const stop = clock.after(timeoutMs, () => answer('timeout'));
    let heard = Buffer.alloc(0);
    socket.on('error', (error: NodeJS.ErrnoException) => answer(error.code ?? error.message));
    socket.on('close', () => answer('Connection terminated unexpectedly'));
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      for (let message = cut(heard); message; message = cut(heard)) {
        heard = heard.subarray(message.bytes);
        if (message.asksPassword) socket.write(packet('p', `${password}\0`));
        else if (message.code !== undefined) return answer(message.code);
      }
    });
    socket.connect(port, host);
    socket.write(startup(user, database));
  });
}

interface Message {
  bytes: number;
  asksPassword: boolean;
  /** null: ready for queries; a SQLSTATE: refused; undefined: neither. */
  code?: string | null;
}

/** The first whole message of what was heard. */
function cut(heard: Buffer): Message | null {
  if (heard.length < 5 || heard.length < 1 + heard.readUInt32BE(1)) return null;
  const bytes = 1 + heard.readUInt32BE(1);
  const [type, body] = [String.fromCharCode(heard[0]!), heard.subarray(5, bytes)];
  const message = { bytes, asksPassword: type === 'R' && body.readUInt32BE(0) === 3 };
  if (type === 'Z') return { ...message, code: null };
  if (type === 'E') return { ...message, code: /\0C(\w{5})\0/.exec(body.toString('latin1'))?.[1] ?? 'error' };
  return message;
}

function startup(user: string, database: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(196_608, 4);
  return Buffer.concat([head, body]);
}

function packet(type: string, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}
