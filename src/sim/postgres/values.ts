import { SqlError, wrongValue } from './errors.ts';
import { boolOf } from './known-settings.ts';
import type { TableColumn } from './statement.ts';

/** Values of columns, from a parameter's bytes or from a literal. */

export type Value = number | boolean | string | null;

const intMin = -(2 ** 31);
const intMax = 2 ** 31 - 1;
const charMax = 64;

const decimal = /^\s*[-+]?\d+(_\d+)*\s*$/;
const otherBase = /^\s*[-+]?0(x[\da-f]+|o[0-7]+|b[01]+)\s*$/i;

function int4(text: string): number {
  const plain = decimal.test(text);
  if (!plain && !otherBase.test(text)) throw wrongValue('integer', text);
  const digits = text.trim().replaceAll('_', '');
  const sign = digits.startsWith('-') ? -1 : 1;
  return inRange(sign * Number(digits.replace(/^[-+]/, '')), text);
}

function inRange(number: number, text: string | number): number {
  if (number >= intMin && number <= intMax) return number;
  throw new SqlError('22003', `value "${text}" is out of range for type integer`);
}

function bool(text: string): boolean {
  const truth = boolOf(text);
  if (truth === null) throw wrongValue('boolean', text);
  return truth;
}

/** Padding does not count: what is stored is given back without it. */
function bpchar(text: string): string {
  if (text.length === charMax) return text;
  const trimmed = text.trimEnd();
  if (trimmed.length > charMax) throw new SqlError('22001', `value too long for type character(${charMax})`);
  return trimmed;
}

export function fromText(type: TableColumn['type'], text: string): Value {
  if (type === 'int4') return int4(text);
  if (type === 'bool') return bool(text);
  return type === 'bpchar' ? bpchar(text) : text;
}

/** A parameter in text format. Short plain numbers, which are most, without a string in between. */
export function decodeText(type: TableColumn['type'], bytes: Buffer, start: number, stop: number): Value {
  if (type === 'int4' && stop - start < 10 && stop > start) {
    let value = 0;
    for (let n = start; n < stop; n += 1) {
      const digit = bytes[n]! - 48;
      if (digit < 0 || digit > 9) return int4(bytes.toString('utf8', start, stop));
      value = value * 10 + digit;
    }
    return value;
  }
  if (type === 'bool') {
    const c = bytes[start];
    if (stop - start === 4 && c === 116) return bool(bytes.toString('latin1', start, stop));
    if (stop - start === 1 && c === 116) return true;
  }
  return fromText(type, bytes.toString('utf8', start, stop));
}

/** A parameter in binary format: of integers any width that fits. */
export function decodeBinary(type: TableColumn['type'], bytes: Buffer, start: number, stop: number): Value {
  const size = stop - start;
  if (type === 'int4') {
    if (size === 4) return bytes.readInt32BE(start);
    if (size === 2) return bytes.readInt16BE(start);
    if (size === 8) {
      const wide = Number(bytes.readBigInt64BE(start));
      return inRange(wide, wide);
    }
  } else if (type === 'bool' && size === 1) return bytes[start] !== 0;
  else if (type === 'text' || type === 'bpchar') return fromText(type, bytes.toString('utf8', start, stop));
  throw new SqlError('22P03', `incorrect binary data format in bind parameter of type ${type}`);
}
