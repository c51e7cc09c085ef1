/** The toxics of the fault proxy by their names and attributes, checked as its API does, but nothing unknown passes. */

export type Direction = 'upstream' | 'downstream';

export type KillHow = 'drop' | 'fin' | 'rst';

/** `latency`: every chunk goes on `latencyMs` +- `jitterMs` after it came, never before one that came earlier. */
export interface Delay {
  latencyMs: number;
  jitterMs: number;
}

/** `idle_timeout`: a connection without a byte for `timeoutMs` ends. `giveUpMs` is for `drop` in userspace. */
export interface IdleLimit {
  timeoutMs: number;
  how: KillHow;
  giveUpMs: number;
}

export interface InstalledToxic {
  name: string;
  direction: Direction;
  delay: Delay | null;
  idle: IdleLimit | null;
}

type Attribute =
  | { kind: 'integer'; default: number; min?: number }
  | { kind: 'choice'; default: string; of: readonly string[] };

const msMax = 2 ** 31 - 1;

const shapes: Record<string, Record<string, Attribute>> = {
  latency: { latency: { kind: 'integer', default: 0 }, jitter: { kind: 'integer', default: 0 } },
  idle_timeout: {
    timeout: { kind: 'integer', default: 0, min: 1 },
    how: { kind: 'choice', default: 'drop', of: ['drop', 'fin', 'rst'] },
    giveUp: { kind: 'integer', default: 924_000, min: 1 },
  },
  noop: {},
};

export function toxicFrom(
  name: string,
  type: string,
  given: Record<string, unknown>,
  stream: string,
): InstalledToxic {
  if (stream !== 'upstream' && stream !== 'downstream')
    throw new Error(`toxic ${name}: stream: expected one of upstream, downstream, got ${stream}`);
  if (!Object.hasOwn(shapes, type))
    throw new Error(`toxic ${name}: unknown type ${type}: expected one of ${Object.keys(shapes).join(', ')}`);
  const { latency, jitter, timeout, how, giveUp } = attributesOf(name, type, given) as Record<string, number>;
  const idle = { timeoutMs: timeout!, how: how as unknown as KillHow, giveUpMs: giveUp! };
  return {
    name,
    direction: stream,
    delay: type === 'latency' ? { latencyMs: latency!, jitterMs: jitter! } : null,
    idle: type === 'idle_timeout' ? idle : null,
  };
}

function attributesOf(
  toxic: string,
  type: string,
  given: Record<string, unknown>,
): Record<string, number | string> {
  const shape = shapes[type]!;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(shape, name)) {
      const known = Object.keys(shape).join(', ') || 'none';
      throw new Error(`toxic ${toxic} (${type}): unknown attribute ${name}: expected ${known}`);
    }
  const value = ([name, attribute]: [string, Attribute]) => {
    const path = `toxic ${toxic} (${type}): attributes.${name}`;
    return [name, checked(path, given[name] ?? attribute.default, attribute)];
  };
  return Object.fromEntries(Object.entries(shape).map(value));
}

function checked(path: string, value: unknown, attribute: Attribute): number | string {
  if (attribute.kind === 'choice') {
    if (attribute.of.includes(value as string)) return value as string;
    throw new Error(`${path}: expected one of ${attribute.of.join(', ')}, got ${JSON.stringify(value)}`);
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new Error(`${path}: expected integer, got ${JSON.stringify(value)}`);
  const { min } = attribute;
  if (min !== undefined && value < min) throw new Error(`${path}: must be at least ${min}, is ${value}`);
  if (value > msMax) throw new Error(`${path}: must be at most ${msMax}, is ${value}`);
  return value;
}
