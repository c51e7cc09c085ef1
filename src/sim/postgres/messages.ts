import type { ErrorFields } from './errors.ts';

/** Messages of protocol 3.0, server to client. */

/** Type, length, body. */
export function message(type: string, ...parts: (Buffer | string | number)[]): Buffer {
  const bytes = parts.map(part => {
    if (typeof part === 'string') return Buffer.from(`${part}\0`);
    return typeof part === 'number' ? int32(part) : part;
  });
  const body = Buffer.concat(bytes);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export type Status = 'I' | 'T' | 'E';

export const parseComplete = message('1');
export const bindComplete = message('2');
export const closeComplete = message('3');
export const noData = message('n');
export const emptyQuery = message('I');
export const portalSuspended = message('s');
export const authenticationOk = message('R', 0);
export const cleartextPassword = message('R', 3);
export const readyForQuery: Record<Status, Buffer> = {
  I: message('Z', Buffer.from('I')),
  T: message('Z', Buffer.from('T')),
  E: message('Z', Buffer.from('E')),
};

const tags = new Map<string, Buffer>();
const tagsMax = 200;

/** CommandComplete. */
export function commandComplete(tag: string): Buffer {
  let bytes = tags.get(tag);
  if (!bytes) {
    bytes = message('C', tag);
    if (tags.size < tagsMax) tags.set(tag, bytes);
  }
  return bytes;
}

export const parameterStatus = (name: string, value: string): Buffer => message('S', name, value);
export const backendKeyData = (pid: number, secret: number): Buffer => message('K', pid, secret);
/** Protocol 3.0 is all we speak; the client decides whether that will do. */
export const negotiateProtocol = (): Buffer => message('v', 0x30000, 0);

const fieldCodes: [keyof ErrorFields, string][] = [
  ['detail', 'D'],
  ['hint', 'H'],
  ['position', 'P'],
  ['schema', 's'],
  ['table', 't'],
  ['column', 'c'],
  ['constraint', 'n'],
];

/** ErrorResponse, or NoticeResponse of a `WARNING`. */
export function report(severity: string, sqlState: string, text: string, fields: ErrorFields = {}): Buffer {
  const all = [`S${severity}`, `V${severity}`, `C${sqlState}`, `M${text}`];
  for (const [name, code] of fieldCodes) {
    if (fields[name] !== undefined) all.push(`${code}${fields[name]}`);
  }
  const isNotice = severity === 'WARNING' || severity === 'NOTICE';
  return message(isNotice ? 'N' : 'E', ...all, Buffer.from([0]));
}

export interface Column {
  name: string;
  /** Object id of the type. */
  type: number;
  /** Bytes, -1 varies, -2 ends with a zero. */
  size: number;
}

export function rowDescription(columns: readonly Column[]): Buffer {
  const fields = columns.map(({ name, type, size }) =>
    Buffer.concat([
      Buffer.from(`${name}\0`),
      int32(0),
      int16(0),
      int32(type),
      int16(size),
      int32(-1),
      int16(0),
    ]),
  );
  return message('T', int16(columns.length), ...fields);
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  const cells = values.map(value => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value);
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return message('D', int16(values.length), ...cells);
}

export const parameterDescription = (types: readonly number[]): Buffer =>
  message('t', int16(types.length), ...types.map(int32));
