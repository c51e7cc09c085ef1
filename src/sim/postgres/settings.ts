import { SqlError, UnknownSqlError } from './errors.ts';
import { canonical, known, knownSetting, msOf, reportedSettings, unmodelled } from './known-settings.ts';

/** A session's settings: what SET, SET LOCAL and RESET do to them, and what a transaction's end undoes. */

interface Undo {
  name: string;
  before: string | undefined;
  after: string;
  local: boolean;
}

const none: [string, string][] = [];

/** A session's own values over the server's. */
export class Settings {
  statementTimeoutMs = 0;
  lockTimeoutMs = 0;
  idleInTransactionTimeoutMs = 0;
  idleSessionTimeoutMs = 0;
  asynchronousCommit = false;
  readOnly = false;
  quiet = false;
  /** Reported ones that may have changed since the client was last told. */
  #touched = new Set<string>();
  #told = new Map<string, string>();
  #initial: ReadonlyMap<string, string>;
  #values = new Map<string, string>();
  #undo: Undo[] = [];

  constructor(initial: ReadonlyMap<string, string>) {
    this.#initial = initial;
    for (const name of initial.keys()) this.#read(name);
  }

  /** Becomes what RESET goes back to: what the client asked for at its start. */
  startWith(values: ReadonlyMap<string, string>): void {
    const initial = new Map(this.#initial);
    for (const [name, value] of values) {
      const setting = this.#checked(name, value);
      initial.set(name.toLowerCase(), setting);
    }
    this.#initial = initial;
    for (const name of values.keys()) this.#read(name.toLowerCase());
    for (const name of reportedSettings()) this.#told.set(name, this.get(name));
    this.#touched.clear();
  }

  /** What the client must be told of: reported settings with another value than it knows. */
  takeNews(): [string, string][] {
    if (this.#touched.size === 0) return none;
    const news: [string, string][] = [];
    for (const name of this.#touched) {
      const value = this.get(name);
      if (value !== this.#told.get(name)) news.push([name, value]);
      this.#told.set(name, value);
    }
    this.#touched.clear();
    return news;
  }

  get(name: string): string {
    const low = name.toLowerCase();
    if (low.startsWith('transaction_') && this.#defaultOf(low)) return this.#defaultOf(low)!;
    const value = this.#values.get(low) ?? this.#initial.get(low) ?? knownSetting(name)?.initial;
    if (value !== undefined) return value;
    throw new SqlError('42704', `unrecognized configuration parameter "${name}"`);
  }

  /** Of a transaction's mode not set for it: the session's. */
  #defaultOf(name: string): string | null {
    if (this.#values.has(name) || !known.has(`default_${name}`)) return null;
    return this.get(`default_${name}`);
  }

  #checked(name: string, value: string): string {
    const setting = knownSetting(name);
    if (!setting) return value;
    if (setting.kind === 'fixed') {
      const how = setting.reported ? 'cannot be changed' : 'cannot be changed without restarting the server';
      throw new SqlError('55P02', `parameter "${setting.name}" ${how}`);
    }
    const kept = canonical(setting, value);
    const only = unmodelled[setting.name];
    if (only !== undefined && kept !== only)
      throw new UnknownSqlError(`SET ${setting.name} = ${value}`, `it has no ${setting.name} but ${only}`);
    return kept;
  }

  /** `value` null: what it was at the session's start. */
  set(name: string, value: string | null, how: { local: boolean; inTransaction: boolean }): void {
    const low = name.toLowerCase();
    const initial = (): string => this.#initial.get(low) ?? knownSetting(name)?.initial ?? '';
    const after = value === null ? initial() : this.#checked(name, value);
    if (how.inTransaction) {
      this.#undo.push({ name: low, before: this.#values.get(low), after, local: how.local });
    } else if (how.local) return;
    this.#values.set(low, after);
    this.#read(low);
  }

  resetAll(inTransaction: boolean): void {
    for (const name of [...this.#values.keys()]) this.set(name, null, { local: false, inTransaction });
  }

  /** For a savepoint. */
  get depth(): number {
    return this.#undo.length;
  }

  undoTo(depth: number): void {
    while (this.#undo.length > depth) {
      const { name, before } = this.#undo.pop()!;
      this.#restore(name, before);
    }
  }

  #restore(name: string, value: string | undefined): void {
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, value);
    this.#read(name);
  }

  /** At the end of a transaction: what was LOCAL goes, the rest stays when it committed. */
  endTransaction(committed: boolean): void {
    if (this.#undo.length === 0) return;
    const stay = committed ? this.#undo.filter(({ local }) => !local) : [];
    this.undoTo(0);
    for (const { name, after } of stay) this.#restore(name, after);
  }

  #read(name: string): void {
    const setting = known.get(name);
    if (!setting) return;
    const value = this.get(name);
    if (setting.reported) this.#touched.add(setting.name);
    if (setting.kind === 'ms') this.#readMs(name, msOf(value) ?? 0);
    else if (name === 'synchronous_commit') this.asynchronousCommit = value === 'off';
    else if (name === 'client_min_messages') this.quiet = value === 'error';
    else if (name.endsWith('transaction_read_only')) this.#readReadOnly();
  }

  #readReadOnly(): void {
    this.readOnly = this.get('transaction_read_only') === 'on';
  }

  #readMs(name: string, ms: number): void {
    if (name === 'statement_timeout') this.statementTimeoutMs = ms;
    else if (name === 'lock_timeout') this.lockTimeoutMs = ms;
    else if (name === 'idle_session_timeout') this.idleSessionTimeoutMs = ms;
    else if (name === 'idle_in_transaction_session_timeout') this.idleInTransactionTimeoutMs = ms;
  }
}
