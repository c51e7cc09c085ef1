import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../../src/failure.ts';
import { Ledger, LedgerFull, readLedger } from '../../src/ledger/ledger.ts';
import type { Fact } from '../../src/ledger/record.ts';
import { removeTempFolders, tempFolder } from '../fixtures/soak-it.ts';

afterAll(removeTempFolders);

const note = (name: string): Fact => ({ k: 'note', what: 'control', name, ok: true, detail: null });

function ledger(bytesMax?: number) {
  const path = join(tempFolder(), 'x.ndjson');
  const failures: Error[] = [];
  const secrets = ['hush'];
  const failed = (error: Error) => void failures.push(error);
  const open = new Ledger({ path, nowMs: () => 1, secrets, failed, ...(bytesMax ? { bytesMax } : {}) });
  return { open, path, failures };
}

describe('a ledger', () => {
  it('numbers every line, and counts them in the last', () => {
    const { open, path } = ledger();
    for (let n = 0; n < 600; n += 1) open.append(note(`n${n}`));
    open.close(true);
    const records = [...readLedger(path)];
    expect(records.map(({ i }) => i)).toEqual(Array.from({ length: 601 }, (_, n) => n));
    expect(records.at(-1)).toMatchObject({ k: 'end', lines: 601, complete: true });
  });

  it('keeps secrets out, whenever it writes', () => {
    const { open, path } = ledger();
    open.append(note('the word is hush'));
    open.close(true);
    expect([...readLedger(path)][0]).toMatchObject({ name: 'the word is [secret]' });
  });

  it('at its limit tells whoever runs the trial, once, and writes no more', () => {
    const { open, path, failures } = ledger(1000);
    open.append(note('first'));
    open.flush();
    for (let n = 0; n < 3; n += 1) {
      open.append(note('x'.repeat(2000)));
      open.flush();
    }
    open.close(false);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toBeInstanceOf(LedgerFull);
    expect(failures[0]).toMatchObject({ exitCode: exitCodes.missing });
    expect(failures[0]!.message).toMatch(/over its limit of 1000 bytes \(\d+ bytes by line 2\)/);
    expect([...readLedger(path)].map(({ k }) => k)).toEqual(['note']);
  });
});
