import { z } from 'zod';

export interface Problem {
  path: string;
  message: string;
  /** Nothing is wrong with what was asked for, but this machine has not what it takes. */
  missing?: boolean;
}

/** A validation library's issues in our own words: where, what was seen, what is allowed. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, raw: unknown): Problem[] {
  return error.issues.map(issue => ({ path: pathText(issue.path), message: messageOf(issue, schema, raw) }));
}

export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  );

function messageOf(issue: z.core.$ZodIssue, schema: z.ZodType, raw: unknown): string {
  const seen = show(at(raw, issue.path));
  if (issue.code === 'unrecognized_keys') {
    const known = shapeAt(schema, issue.path);
    return `unknown: ${issue.keys.join(', ')}; allowed: ${known.join(', ') || 'nothing'}`;
  }
  if (issue.code === 'invalid_value')
    return `is ${seen}; allowed: ${issue.values.map(v => show(v)).join(', ')}`;
  if (issue.code === 'invalid_key') return issue.issues.map(inner => inner.message).join('; ');
  return `is ${seen}; ${issue.message.replace(/^Invalid input: /, '').replace(/^Too (small|big): /, '')}`;
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The keys of the object schema that a path leads to. */
function shapeAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let inner: unknown = bare(schema);
  for (const key of path) {
    if (inner instanceof z.ZodObject) inner = bare(inner.shape[String(key)]);
    else if (inner instanceof z.ZodArray) inner = bare(inner.element);
    else if (inner instanceof z.ZodRecord) inner = bare(inner.valueType);
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function bare(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner.unwrap();
  return inner;
}
