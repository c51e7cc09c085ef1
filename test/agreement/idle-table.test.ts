import { afterAll, describe, expect, it } from 'vitest';
import { idleKill } from '../../src/index.ts';
import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { ScenarioInput } from '../../src/scenario.ts';
import { removeTempFolders, soakIt } from '../fixtures/soak-it.ts';

afterAll(removeTempFolders);

/**
 * Eight hours of bursts, idle in between, with a firewall on the wire or a server that ends idle sessions: which
 * settings of pg meet an error, which one, and how long the longest request takes.
 */
const hours = 8;
const burstsEvery = (minutes: number): ScenarioInput['bursts'] =>
  Array.from({ length: (hours * 60) / minutes - 1 }, (_, n) => ({
    at: `${(n + 1) * minutes}m`,
    over: '2s',
  }));

const table = (over: Partial<ScenarioInput>, settings: Record<string, unknown>): ScenarioInput => ({
  name: 'idle-table',
  duration: `${hours}h`,
  drain: '30m',
  rows: 1,
  workers: 1,
  // Nothing but the bursts.
  sessions: { count: 20, every: '168h' },
  server: { appSlots: 28 },
  candidates: {
    pool: {
      pool: 'pg-pool',
      settings,
      app: {
        transaction: 'autocommit',
        release: 'with-error',
        onPoolError: 'listen',
        onClientError: 'listen',
      },
    },
  },
  ...over,
});

interface Seen {
  errors: string[];
  killed: number;
  longestMs: number;
}

async function soaked(scenario: ScenarioInput): Promise<Seen> {
  const { records } = await soakIt(scenario, { virtual: 'packet' });
  const all = records();
  const due = new Map<number, number>();
  const errors = new Set<string>();
  const seen: Seen = { errors: [], killed: 0, longestMs: 0 };
  for (const record of all) {
    if (record.k === 'submit') due.set(record.id, record.scheduledMs);
    if (record.k === 'serverLog' && record.severity === 'FATAL') seen.killed += 1;
    if (record.k !== 'settled') continue;
    seen.longestMs = Math.max(seen.longestMs, record.atMs - due.get(record.id)!);
    for (const { error } of record.attempts) if (error) errors.add(codeOf(error));
  }
  return { ...seen, errors: [...errors] };
}

const codeOf = ({
  sqlState,
  code,
  message,
}: NonNullable<(LedgerRecord & { k: 'settled' })['attempts'][0]['error']>) => sqlState ?? code ?? message;

describe('a server that ends sessions idle for 60 s, bursts every 5 minutes', () => {
  const server = { appSlots: 28, settings: { idle_session_timeout: '60s' } };
  it.each([
    ['idleTimeoutMillis 10 s', { idleTimeoutMillis: 10_000 }, false],
    ['idleTimeoutMillis 120 s', { idleTimeoutMillis: 120_000 }, true],
    ['never closes', { idleTimeoutMillis: 0 }, true],
    ['never closes, lives 50 s', { idleTimeoutMillis: 0, maxLifetimeSeconds: 50 }, false],
    ['never closes, lives an hour', { idleTimeoutMillis: 0, maxLifetimeSeconds: 3600 }, true],
  ])('%s', async (_name, settings, killed) => {
    const seen = await soaked(table({ server, bursts: burstsEvery(5) }, settings));
    expect(seen.killed > 0).toBe(killed);
    expect(seen.errors).toEqual([]);
  });
});

describe('a firewall that forgets connections idle for 350 s, bursts every 10 minutes', () => {
  const drops = [{ at: '0s', fault: idleKill({ after: '350s', how: 'drop' }) }];
  const resets = [{ at: '0s', fault: idleKill({ after: '350s', how: 'rst' }) }];
  it.each([
    ['closes after 10 s', drops, { idleTimeoutMillis: 10_000 }, [], 0],
    ['never closes', drops, { idleTimeoutMillis: 0 }, ['ETIMEDOUT'], 924_600],
    [
      'never closes, keepAlive 10 s',
      drops,
      { idleTimeoutMillis: 0, keepAlive: true, keepAliveInitialDelayMillis: 10_000 },
      [],
      0,
    ],
    [
      'never closes, query_timeout 5 s',
      drops,
      { idleTimeoutMillis: 0, query_timeout: 5000 },
      ['Query read timeout'],
      5000,
    ],
    // Not saved by its probes: Linux sends none while data is unacknowledged, and the burst comes before the first.
    [
      'never closes, keepAlive 600 s',
      drops,
      { idleTimeoutMillis: 0, keepAlive: true, keepAliveInitialDelayMillis: 600_000 },
      ['ETIMEDOUT'],
      924_600,
    ],
    ['never closes, lives 300 s', drops, { idleTimeoutMillis: 0, maxLifetimeSeconds: 300 }, [], 0],
    ['never closes, and the firewall answers with RST', resets, { idleTimeoutMillis: 0 }, ['ECONNRESET'], 0],
  ])('%s', async (_name, faults, settings, errors, longestMs) => {
    // The server is not told of what the firewall resets, and would run out of slots.
    const server = { appSlots: 1000 };
    const seen = await soaked(table({ faults, server, bursts: burstsEvery(10) }, settings));
    expect(seen.errors).toEqual(errors);
    if (longestMs > 0) expect(Math.abs(seen.longestMs - longestMs) / longestMs).toBeLessThan(0.05);
    else expect(seen.longestMs).toBeLessThan(1000);
  });
});
