import { badBody } from './api-error.ts';
import { type Body, integerOf, objectOf, valueAt } from './fields.ts';
import { type Attribute, msMax, type SelectField, type Toxic, type WatchedLink } from './toxics/toxic.ts';

/** Which connections a toxic may hit, beside its toxicity. All that is named must hold. */
export type Select = { readonly [field in SelectField]?: number };

const fields: Record<SelectField, Attribute & { kind: 'integer' }> = {
  olderThan: { kind: 'integer', default: 0, min: 0, max: msMax, unit: 'ms' },
  idleFor: { kind: 'integer', default: 0, min: 0, max: msMax, unit: 'ms' },
  oldest: { kind: 'integer', default: 0, min: 1, unit: 'connections' },
  newest: { kind: 'integer', default: 0, min: 1, unit: 'connections' },
  clientPort: { kind: 'integer', default: 0, min: 1, max: 65_535 },
};

const names = Object.keys(fields) as SelectField[];

/** Absent or null: `before`. Unlike elsewhere an unknown field is an error: a typo would hit everybody. */
export function selectOf(body: Body, { type, selectable = names }: Toxic, before: Select): Select {
  const sent = valueAt(body, 'select');
  if (sent === null) return before;
  const given = objectOf(sent, 'select');
  const chosen: { [field in SelectField]?: number } = {};
  for (const [name, value] of Object.entries(given)) {
    const known = names.find(field => field === name);
    if (known === undefined) throw badBody(`select.${name}: unknown, expected one of ${names.join(', ')}`);
    if (!selectable.includes(known))
      throw badBody(`select.${name}: ${type} takes ${selectable.join(', ') || 'no selection'}`);
    if (value !== null) chosen[known] = integerOf(`select.${name}`, value, fields[known]);
  }
  if (chosen.oldest !== undefined && chosen.newest !== undefined)
    throw badBody('select: expected oldest or newest, got both');
  return chosen;
}

/** Ms until the connection is old and idle enough, if nothing passes; 0: it is. */
export function leftMs(
  select: Select,
  link: Pick<WatchedLink, 'acceptedMs' | 'lastActivityMs'>,
  nowMs: number,
) {
  const age = (select.olderThan ?? 0) - (nowMs - link.acceptedMs);
  const idle = (select.idleFor ?? 0) - (nowMs - link.lastActivityMs);
  return Math.max(0, age, idle);
}

/** Oldest or newest n of those given, which come in order of age; null: the selection names no such number. */
export function ranked<T>({ oldest, newest }: Select, byAge: T[]): T[] | null {
  if (oldest !== undefined) return byAge.slice(0, oldest);
  if (newest !== undefined) return byAge.slice(-newest);
  return null;
}
