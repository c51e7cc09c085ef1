import { z } from 'zod';
import { durationMs, durationRule, parseDuration } from './duration.ts';
import { type Fault, kindOf, type Planned } from './faults/fault.ts';
import type { Endpoint, PoolAdapter } from './pools/pool.ts';
import { type Problem, problemsOf } from './problems.ts';

/** What scenarios may name, by name. */
export interface Registries {
  pools: Record<string, PoolAdapter>;
  faults: Record<string, Fault>;
  checks: Record<
    string,
    { id: string; settings: z.ZodObject; durations: readonly string[]; byDefault: boolean }
  >;
}

const duration = () =>
  z.string().refine(text => parseDuration(text) !== null, { error: `must be ${durationRule}` });
const count = (max: number, min = 1) => z.number().int().min(min).max(max);
const name = () =>
  z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, { error: 'must be lower-case letters, digits and "-", at most 41' });

const retry = z.strictObject({
  max: count(10, 0),
  backoff: duration().default('0ms'),
  on: z.enum(['certain', 'any']).default('certain'),
  idempotency: z.enum(['none', 'key-table']).default('none'),
  lockTimeout: duration().default('5s'),
});

const app = z.strictObject({
  transaction: z.enum(['explicit', 'autocommit']).default('explicit'),
  release: z.enum(['always', 'on-success', 'with-error']).default('always'),
  onPoolError: z.enum(['listen', 'none']).default('none'),
  onClientError: z.enum(['listen', 'none']).default('none'),
  statementTimeout: duration().optional(),
  retry: retry.optional(),
  cancelOnPatience: z.boolean().default(false),
});

const candidate = z.strictObject({
  pool: z.string(),
  engine: z.enum(['postgres', 'mariadb', 'mysql']).optional(),
  settings: z.record(z.string(), z.unknown()).default({}),
  app: app.prefault({}),
});

const verdict = z.enum(['pass', 'fail', 'unknown']);
const expect = z.strictObject({
  verdict,
  checks: z.record(z.string(), verdict).default({}),
  causes: z.array(z.string()).default([]),
  because: z.string(),
});

const fault = z.strictObject({
  at: duration(),
  until: duration().optional(),
  fault: z.strictObject({ fault: z.string(), settings: z.record(z.string(), z.unknown()).default({}) }),
});

const check = z.looseObject({ check: z.string() });

const schema = z.strictObject({
  name: name(),
  /** The story in a sentence or two. */
  story: z.string().default(''),
  speed: z.number().min(1).max(10_000).default(1),
  duration: duration(),
  patience: duration().default('10s'),
  /** Longest wait for open submits at the end; patience + 20 s unless said. */
  drain: duration().optional(),
  durability: z.enum(['none-lost', 'may-lose']).default('none-lost'),
  rows: count(20).default(2),
  rejected: z.number().min(0).max(1).default(0),
  workers: count(64).default(4),
  sessions: z.strictObject({
    count: count(10_000),
    every: duration(),
    jitter: z.number().min(0).max(1).default(0.2),
  }),
  bursts: z
    .array(z.strictObject({ at: duration(), over: duration(), submits: count(100).default(1) }))
    .max(1000)
    .default([]),
  breaks: z
    .array(z.strictObject({ from: duration(), to: duration(), returnOver: duration().default('0s') }))
    .max(1000)
    .default([]),
  server: z.strictObject({
    appSlots: count(10_000, 2),
    settings: z.record(z.string(), z.string()).default({}),
  }),
  faults: z.array(fault).max(1000).default([]),
  checks: z.array(check).max(100).default([]),
  candidates: z.record(name(), candidate).default({}),
  expect: z.record(z.string(), expect).default({}),
});

export type ScenarioInput = z.input<typeof schema>;
export type Scenario = z.output<typeof schema>;
export type CandidateInput = z.input<typeof candidate>;
export type Candidate = z.output<typeof candidate>;

/** Whether a candidate can run on an engine: by its own word and by its adapter's. */
export const runsOn = (
  engine: Endpoint['engine'],
  candidate: Candidate,
  { engines }: Pick<PoolAdapter, 'engines'>,
): boolean => (candidate.engine ?? engine) === engine && engines.includes(engine);

/** Types what a scenario file exports; it is validated, whole, when it is loaded. */
export const defineScenario = (scenario: ScenarioInput): ScenarioInput => scenario;

/** Every mistake at once, or the scenario with its defaults. */
export function validateScenario(
  raw: unknown,
  registries: Registries,
): { scenario: Scenario; problems: [] } | { scenario: null; problems: Problem[] } {
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const known = typeof raw === 'object' && raw !== null ? candidateProblems(raw as object, registries) : [];
    return { scenario: null, problems: [...problemsOf(parsed.error, schema, raw), ...known] };
  }
  const scenario = parsed.data;
  const problems = [
    ...candidateProblems(scenario, registries),
    ...faultProblems(scenario, registries),
    ...checkProblems(scenario, registries),
    ...timeProblems(scenario),
    ...expectProblems(scenario, registries),
  ];
  // Only of a valid timeline can it be said.
  if (problems.length === 0) problems.push(...overlaps(scenario, registries));
  return problems.length > 0 ? { scenario: null, problems } : { scenario, problems: [] };
}

/** A problem with a name that nothing has, listing what there is. */
const unknownName = (path: string, kind: string, given: unknown, known: string[]): Problem => ({
  path,
  message: `no ${kind} "${String(given)}"; there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ') || 'none'}`,
});

/** Looks at raw candidates too, so that a wrong knob is told together with a wrong duration elsewhere. */
function candidateProblems(scenario: { candidates?: unknown }, { pools }: Registries): Problem[] {
  const given = (scenario.candidates ?? {}) as Record<string, Partial<Candidate> | null>;
  return Object.entries(given).flatMap(([key, candidate]) => {
    if (typeof candidate?.pool !== 'string') return [];
    const path = `candidates.${key}`;
    const adapter = Object.hasOwn(pools, candidate.pool) ? pools[candidate.pool] : undefined;
    if (!adapter) return [unknownName(`${path}.pool`, 'pool', candidate.pool, Object.keys(pools))];
    const settings = adapter.settings.safeParse(candidate.settings ?? {});
    const wrong = settings.success ? [] : problemsOf(settings.error, adapter.settings, candidate.settings);
    const { engine } = candidate;
    return [
      ...(engine && !adapter.engines.includes(engine)
        ? [unknownName(`${path}.engine`, `engine for pool ${adapter.name}`, engine, [...adapter.engines])]
        : []),
      ...wrong.map(problem => ({ ...problem, path: join(`${path}.settings`, problem.path) })),
      ...habitProblems(`${path}.app`, candidate.app),
    ];
  });
}

function habitProblems(path: string, habits: Partial<Candidate['app']> | undefined): Problem[] {
  if (habits?.retry?.idempotency !== 'key-table' || habits.transaction !== 'autocommit') return [];
  const message = 'key-table needs transaction: "explicit": the key and the rows must commit together';
  return [{ path: `${path}.retry.idempotency`, message }];
}

function faultProblems({ faults, duration }: Scenario, registries: Registries): Problem[] {
  return faults.flatMap(({ at, until, fault: use }, n) => {
    const path = `faults[${n}]`;
    const fault = Object.hasOwn(registries.faults, use.fault) ? registries.faults[use.fault] : undefined;
    if (!fault) return [unknownName(`${path}.fault`, 'fault', use.fault, Object.keys(registries.faults))];
    const settings = fault.settings.safeParse(use.settings);
    const problems = settings.success ? [] : problemsOf(settings.error, fault.settings, use.settings);
    const lasts = settings.success ? lastsMs(fault, settings.data) : null;
    const endless =
      settings.success && lasts === null && until === undefined && isOutage(fault, settings.data);
    return [
      ...(endless
        ? [{ path: `${path}.until`, message: `is missing; ${use.fault} is an outage here: say when it ends` }]
        : []),
      ...(lasts !== null && until !== undefined
        ? [{ path: `${path}.until`, message: `${use.fault} says itself how long it lasts` }]
        : []),
      ...(lasts !== null &&
      durationMs(at) < durationMs(duration) &&
      durationMs(at) + lasts > durationMs(duration)
        ? [{ path: `${path}.at`, message: `${use.fault} would outlast the scenario (${duration})` }]
        : []),
      ...problems.map(problem => ({ ...problem, path: join(`${path}.fault.settings`, problem.path) })),
      ...order(`${path}.at`, at, duration, 'the end of the scenario'),
      ...(until === undefined ? [] : order(`${path}.until`, at, until, 'its until')),
    ];
  });
}

/** How long it lasts by its own settings, unscaled ms; null: the timeline says. */
function lastsMs(fault: Fault, settings: Record<string, unknown>): number | null {
  const ms = ([key, value]: [string, unknown]) => [key, parseDuration(value) ?? value];
  return fault.lastsMs(
    Object.fromEntries(Object.entries(settings).map(ms)) as Parameters<Fault['lastsMs']>[0],
  );
}

const isOutage = (fault: Fault, settings: Record<string, unknown>): boolean =>
  kindOf(fault, settings as Planned<Fault['settings']>) === 'outage';

/** Outages of one kind at once: the second would heal the first. */
function overlaps({ faults }: Scenario, registries: Registries): Problem[] {
  const ends: Record<string, number> = {};
  return faults.flatMap(({ at, fault: use }, n) => {
    const fault = registries.faults[use.fault];
    const lasts = fault ? lastsMs(fault, fault.settings.parse(use.settings)) : null;
    if (lasts === null) return [];
    const early = durationMs(at) < (ends[use.fault] ?? 0);
    ends[use.fault] = Math.max(ends[use.fault] ?? 0, durationMs(at) + lasts);
    return early
      ? [{ path: `faults[${n}].at`, message: `begins before the ${use.fault} above it has ended` }]
      : [];
  });
}

const order = (path: string, before: string, after: string, what: string): Problem[] =>
  durationMs(before) < durationMs(after)
    ? []
    : [{ path, message: `${before} must come before ${what} (${after})` }];

function checkProblems({ checks }: Scenario, registries: Registries): Problem[] {
  return checks.flatMap(({ check: id, ...settings }, n) => {
    const check = Object.hasOwn(registries.checks, id) ? registries.checks[id] : undefined;
    if (!check) return [unknownName(`checks[${n}].check`, 'check', id, Object.keys(registries.checks))];
    const parsed = check.settings.safeParse(settings);
    const problems = parsed.success ? [] : problemsOf(parsed.error, check.settings, settings);
    return problems.map(problem => ({ ...problem, path: join(`checks[${n}]`, problem.path) }));
  });
}

function timeProblems({ bursts, breaks, duration, sessions }: Scenario): Problem[] {
  const every =
    durationMs(sessions.every) > 0 ? [] : [{ path: 'sessions.every', message: 'must be longer than 0' }];
  return [
    ...every,
    ...bursts.flatMap(({ at }, n) => order(`bursts[${n}].at`, at, duration, 'the end of the scenario')),
    ...breaks.flatMap(({ from, to }, n) => order(`breaks[${n}].from`, from, to, 'its to')),
  ];
}

function expectProblems({ expect, candidates }: Scenario, registries: Registries): Problem[] {
  return Object.entries(expect).flatMap(([key, { checks }]) => {
    const unknown = Object.keys(checks).filter(id => !Object.hasOwn(registries.checks, id));
    const ids = unknown.map(id =>
      unknownName(`expect.${key}.checks`, 'check', id, Object.keys(registries.checks)),
    );
    return Object.hasOwn(candidates, key)
      ? ids
      : [unknownName(`expect.${key}`, 'candidate', key, Object.keys(candidates)), ...ids];
  });
}

const join = (path: string, rest: string): string => (rest === '' ? path : `${path}.${rest}`);
