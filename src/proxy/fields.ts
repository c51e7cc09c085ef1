/**
 * Request bodies to values. As in Toxiproxy: absent or null is the default, unknown fields are ignored, and a field may be
 * written in any case, its own first.
 */
import { badBody } from './api-error.ts';
import type { Attribute, Attributes } from './toxics/toxic.ts';

export type Body = Record<string, unknown>;

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;

export function objectOf(value: unknown, path = ''): Body {
  if (value === undefined || value === null) return {};
  if (kindOf(value) !== 'object')
    throw badBody(`${path && `${path}: `}expected object, got ${kindOf(value)}`);
  return value as Body;
}

/** What is there under this name, null if nothing is. */
export function valueAt(body: Body, name: string): unknown {
  if (Object.hasOwn(body, name)) return body[name] ?? null;
  const other = Object.keys(body).find(key => key.toLowerCase() === name.toLowerCase());
  return other === undefined ? null : (body[other] ?? null);
}

function read<T>(body: Body, name: string, kind: 'string' | 'boolean' | 'number', fallback: T): T {
  const value = valueAt(body, name);
  if (value === null) return fallback;
  if (typeof value !== kind) throw badBody(`${name}: expected ${kind}, got ${kindOf(value)}`);
  return value as T;
}

export const text = (body: Body, name: string, fallback: string): string =>
  read(body, name, 'string', fallback);
export const flag = <T extends boolean | undefined>(body: Body, name: string, fallback: T): boolean | T =>
  read<boolean | T>(body, name, 'boolean', fallback);
export const number = (body: Body, name: string, fallback: number): number =>
  read(body, name, 'number', fallback);

export function listOf(value: unknown, path = ''): Body[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw badBody(`${path && `${path}: `}expected array, got ${kindOf(value)}`);
  return value.map((each, i) => objectOf(each, `${path}[${i}]`));
}

/** A toxic's attributes: those given over those it had, or over the defaults. */
export function attributesOf(
  body: Body,
  shape: Record<string, Attribute>,
  before: Attributes = {},
): Attributes {
  const given = objectOf(valueAt(body, 'attributes'), 'attributes');
  return Object.fromEntries(
    Object.entries(shape).map(([name, attribute]) => {
      const value = valueAt(given, name) ?? before[name] ?? attribute.default;
      return [name, checked(`attributes.${name}`, value, attribute)];
    }),
  );
}

function checked(path: string, value: unknown, attribute: Attribute): number | string {
  if (attribute.kind === 'choice') {
    if (attribute.of.includes(value as string)) return value as string;
    throw badBody(`${path}: expected one of ${attribute.of.join(', ')}, got ${JSON.stringify(value)}`);
  }
  return integerOf(path, value, attribute);
}

export function integerOf(
  path: string,
  value: unknown,
  { min, max }: { min?: number; max?: number },
): number {
  if (typeof value !== 'number') throw badBody(`${path}: expected integer, got ${kindOf(value)}`);
  if (!Number.isSafeInteger(value)) throw badBody(`${path}: expected integer, got ${value}`);
  if (min !== undefined && value < min) throw badBody(`${path}: must be at least ${min}, is ${value}`);
  if (max !== undefined && value > max) throw badBody(`${path}: must be at most ${max}, is ${value}`);
  return value;
}
