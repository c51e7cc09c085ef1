import { z } from 'zod';
import type { FromWorker } from '../worker/protocol.ts';

/** What a worker may say. Unknown types and fields are let be; known ones must have their shape. */
const error = z
  .object({
    code: z.string().nullable(),
    sqlState: z.string().nullable(),
    errno: z.number().nullable(),
    message: z.string(),
  })
  .nullable();
const told = z.enum(['acked', 'rejected', 'failed', 'indeterminate']);
const attempt = z.object({
  n: z.number(),
  conn: z.number().nullable(),
  startedAt: z.number(),
  acquiredAt: z.number().nullable(),
  releasedAt: z.number().nullish(),
  commitSent: z.boolean(),
  answered: z.boolean(),
  tag: z.string().nullable(),
  step: z.enum(['acquire', 'begin', 'write', 'commit']),
  outcome: told.nullable(),
  endedAt: z.number().nullable(),
  error,
});
const count = z.number();
const maybe = z.number().nullable();
const shapes: Record<string, z.ZodType> = {
  ready: z.object({
    k: z.literal('ready'),
    v: count,
    at: count,
    capabilities: z.object({ conn: z.boolean(), gauges: z.boolean(), virtual: z.boolean() }),
    versions: z.record(z.string(), z.string()),
  }),
  failed: z.object({ k: z.literal('failed'), code: z.string(), message: z.string() }),
  settled: z.object({
    k: z.literal('settled'),
    id: count,
    at: count,
    outcome: told,
    open: z.boolean().optional(),
    attempts: z.array(attempt).max(100),
    releaseError: error,
  }),
  conn: z.object({
    k: z.literal('conn'),
    conn: count,
    ev: z.enum(['opening', 'open', 'borrow', 'release', 'close']),
    at: count,
    localPort: maybe.optional(),
    backend: maybe.optional(),
    why: z.string().nullish(),
  }),
  gauges: z.object({
    k: z.literal('gauges'),
    at: count,
    total: count,
    idle: count,
    acquired: count,
    waiting: count,
    max: maybe,
    since: z.object({ waitingMax: count, acquiredMax: count, oldestWaitMs: count }),
    counters: z.object({
      acquires: count,
      acquireTimeouts: count,
      opened: count,
      closed: count,
      destroyed: count,
      leases: count,
    }),
    loopDelayP99Ms: maybe,
    rssBytes: maybe,
    cpuMs: maybe,
  }),
  pong: z.object({ k: z.literal('pong'), n: count, at: count }),
  beat: z.object({ k: z.literal('beat') }),
  closed: z.object({ k: z.literal('closed'), at: count }),
};

export type Heard = { message: FromWorker } | { unknown: true } | { violation: string };

export function readMessage(raw: unknown): Heard {
  const k = (raw as { k?: unknown } | null)?.k;
  if (typeof raw !== 'object' || typeof k !== 'string')
    return { violation: 'a line that is no object with a "k"' };
  const shape = Object.hasOwn(shapes, k) ? shapes[k]! : null;
  if (!shape) return { unknown: true };
  const parsed = shape.safeParse(raw);
  // Only what the protocol names: a field of the worker's own must not end up in the ledger.
  if (parsed.success) return { message: parsed.data as FromWorker };
  const [issue] = parsed.error.issues;
  return { violation: `${k}.${issue?.path.join('.')}: ${issue?.message}` };
}
