import type { TrialMetrics } from '../metrics/types.ts';
import type { Plan } from '../plan.ts';

/** What went wrong, as far as a habit or a knob can be behind it. */
export type Trouble = 'crash' | 'leak' | 'poisoned' | 'waits' | 'server-limit' | 'duplicated' | 'torn';

type Spec = Plan['candidateSpec'];

interface Hint {
  trouble: Trouble;
  /** A habit: `app.release`; or a knob, by its name, of whatever pool has it. */
  behind: string;
  when(value: unknown, spec: Spec): boolean;
  say: string;
}

const off = (value: unknown): boolean => value === 0 || value === null || value === false;

/** Habits and knobs by name, no pools: a knob that a candidate's settings do not have says nothing. */
const hints: readonly Hint[] = [
  {
    trouble: 'crash',
    behind: 'app.onClientError',
    when: value => value === 'none',
    say: "no 'error' listener on a checked-out client",
  },
  {
    trouble: 'crash',
    behind: 'app.onPoolError',
    when: (value, { max }) => value === 'none' && max !== null,
    say: "no 'error' listener on the pool",
  },
  {
    trouble: 'leak',
    behind: 'app.release',
    when: value => value === 'on-success',
    say: 'a connection is given back on success only, so every failed or rejected submit keeps one',
  },
  { trouble: 'poisoned', behind: 'idleTimeoutMillis', when: off, say: 'idle connections are kept for ever' },
  { trouble: 'poisoned', behind: 'maxLifetimeSeconds', when: off, say: 'no connection is ever recycled' },
  {
    trouble: 'poisoned',
    behind: 'query_timeout',
    when: (value, { app }) => off(value) && app.statementTimeoutMs === null,
    say: 'a statement on a dead connection hangs for ever',
  },
  {
    trouble: 'waits',
    behind: 'connectionTimeoutMillis',
    when: off,
    say: 'a wait for a connection has no end',
  },
  {
    trouble: 'server-limit',
    behind: 'app.release',
    when: value => value === 'on-success',
    say: 'what is not given back fills the server',
  },
  {
    trouble: 'duplicated',
    behind: 'app.retry',
    when: value => isBlind(value),
    say: 'what was not answered is tried again, though it may have been written, and nothing tells it apart',
  },
  {
    trouble: 'torn',
    behind: 'app.transaction',
    when: value => value === 'autocommit',
    say: 'every row is a transaction of its own',
  },
];

const isBlind = (retry: unknown): boolean => {
  const { on, idempotency } = (retry ?? {}) as { on?: unknown; idempotency?: unknown };
  return on === 'any' && idempotency === 'none';
};

function given({ app, settings }: Spec, behind: string): unknown {
  const habit = /^app\.(.+)$/.exec(behind)?.[1];
  return habit ? (app as unknown as Record<string, unknown>)[habit] : settings[behind];
}

/** "Behind it: a (knob: value); b (knob: value)", or nothing. */
export function hintText({ candidateSpec }: Plan, ...troubles: Trouble[]): string {
  const said = hints.flatMap(({ trouble, behind, when, say }) => {
    const value = given(candidateSpec, behind);
    if (!troubles.includes(trouble) || value === undefined || !when(value, candidateSpec)) return [];
    return [`${say} (${behind}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)})`];
  });
  return said.length > 0 ? `. Behind it: ${[...new Set(said)].join('; ')}` : '';
}

/** What else the trial saw that can leave a submit unsaved. */
export function troublesIn({ crashes, exhaustion, connections }: TrialMetrics): Trouble[] {
  const causes = new Set(exhaustion.flatMap(({ cause, also }) => [cause, ...also]));
  return [
    ...(crashes > 0 ? (['crash'] as const) : []),
    ...(causes.has('leak') ? (['leak'] as const) : []),
    ...(causes.has('starved') || causes.has('broken-timeout') ? (['waits'] as const) : []),
    ...(connections.poisonedOutsideOutages > 0 ? (['poisoned'] as const) : []),
  ];
}
