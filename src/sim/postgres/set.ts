import type { Block } from './block.ts';
import { SqlError } from './errors.ts';
import type { Settings } from './settings.ts';
import type { Modes, Statement } from './statement.ts';

/** SET and its kin. */

interface SetIn {
  settings: Settings;
  block: Block;
  warn(sqlState: string, text: string): void;
  /** null: all of them. */
  deallocate(name: string | null): void;
}

/** What BEGIN and SET TRANSACTION say. `prefix`: of the settings' names. */
export function setModes(
  settings: Settings,
  { readOnly, isolation }: Modes,
  prefix: string,
  local: boolean,
): void {
  const set = (name: string, value: string): void =>
    settings.set(`${prefix}${name}`, value, { local, inTransaction: true });
  if (readOnly !== undefined) set('transaction_read_only', readOnly ? 'on' : 'off');
  if (isolation !== undefined) set('transaction_isolation', isolation);
}

/** Returns the command tag. */
export function runSet(statement: Statement, within: SetIn): string {
  const { settings, block } = within;
  switch (statement.kind) {
    case 'set':
      if (statement.local && block.state === 'single')
        within.warn('25P01', 'SET LOCAL can only be used in transaction blocks');
      settings.set(statement.name, statement.value, { local: statement.local, inTransaction: true });
      return 'SET';
    case 'setModes':
      setModes(settings, statement.modes, statement.session ? 'default_' : '', !statement.session);
      return 'SET';
    case 'reset':
      if (statement.name === null) settings.resetAll(true);
      else settings.set(statement.name, null, { local: false, inTransaction: true });
      return 'RESET';
    case 'deallocate':
      within.deallocate(statement.name);
      return statement.name === null ? 'DEALLOCATE ALL' : 'DEALLOCATE';
    case 'discard':
      return discard(statement.what, within);
    default:
      throw new Error(`no statement of this kind: ${statement.kind}`);
  }
}

function discard(what: string, { settings, block, deallocate }: SetIn): string {
  if (what === 'ALL') {
    if (block.state !== 'single')
      throw new SqlError('25001', 'DISCARD ALL cannot run inside a transaction block');
    settings.resetAll(true);
    deallocate(null);
  }
  return `DISCARD ${what}`;
}
