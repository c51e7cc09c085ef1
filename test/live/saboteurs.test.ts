import { afterAll, describe, expect, it } from 'vitest';
import type { Submit } from '../../src/ledger/record.ts';
import { isVictim } from '../fixtures/saboteurs/wrap.ts';
import { removeTempFolders, saboteur, soakIt } from '../fixtures/soak-it.ts';
import { story } from '../fixtures/story.ts';

const listen = { onPoolError: 'listen', onClientError: 'listen' } as const;
const blind = { max: 1, backoff: '1ms', on: 'any', idempotency: 'none' } as const;

const candidates = {
  'ack-without-commit': { pool: saboteur('ack-without-commit'), app: listen },
  'blind-retry': { pool: saboteur('lost-answer'), app: { ...listen, retry: blind } },
  'keyed-retry': {
    pool: saboteur('lost-answer'),
    app: { ...listen, retry: { ...blind, idempotency: 'key-table' } },
  },
  'half-commit': { pool: saboteur('half-commit'), app: listen },
  'two-commits': { pool: saboteur('two-commits'), app: listen },
} as const;

/** On the real database: what these do is found, to the last submit. */
describe('saboteurs', async () => {
  const { report, records } = await soakIt(story({ rejected: 0.1, candidates }));
  afterAll(removeTempFolders);

  const seen = (name: keyof typeof candidates) => {
    const n = report.trials.findIndex(({ candidate }) => candidate === name);
    const submits = records(n).filter((record): record is typeof record & Submit => record.k === 'submit');
    const struck = submits.filter(({ seq }) => isVictim(seq));
    const victims = struck.filter(({ valid }) => valid).length;
    const invalid = struck.length - victims;
    expect(victims).toBeGreaterThan(10);
    expect(invalid).toBeGreaterThan(0);
    const { writes, checks, verdict } = report.trials[n]!;
    const failed = checks.filter(check => check.verdict === 'fail').map(check => check.name);
    return { writes, victims, invalid, failed, verdict };
  };

  it('acks without COMMIT: lost', () => {
    const { writes, victims, failed } = seen('ack-without-commit');
    expect(writes).toMatchObject({
      lost: victims,
      duplicated: 0,
      torn: 0,
      phantom: 0,
      fine: writes.acked - victims,
    });
    expect(failed).toEqual(['lost']);
  });

  it('retries blindly after a lost answer: duplicated', () => {
    const { writes, victims, failed } = seen('blind-retry');
    expect(writes).toMatchObject({ lost: 0, duplicated: victims, torn: 0, phantom: 0 });
    expect(failed).toEqual(['duplicated']);
  });

  it('retries with a key after a lost answer: once', () => {
    const { writes, failed, verdict } = seen('keyed-retry');
    expect(writes).toMatchObject({ lost: 0, duplicated: 0, torn: 0, phantom: 0, fine: writes.acked });
    expect(failed).toEqual([]);
    expect(verdict).not.toBe('fail');
  });

  it('commits half: torn', () => {
    // Of an invalid victim only the invalid row is left out, so that it is acked, and torn too.
    const { writes, victims, invalid, failed } = seen('half-commit');
    expect(writes).toMatchObject({ lost: 0, duplicated: 0, torn: victims + invalid, split: 0 });
    expect(failed).toEqual(['torn']);
  });

  it('commits twice: torn, since split', () => {
    // An invalid victim is refused with its first row already committed.
    const { writes, victims, invalid, failed } = seen('two-commits');
    expect(writes).toMatchObject({ lost: 0, duplicated: 0, torn: victims + invalid, split: victims });
    expect(failed).toEqual(['torn']);
  });
});
