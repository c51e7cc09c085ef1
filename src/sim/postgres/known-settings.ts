import { SqlError } from './errors.ts';

/** Settings (GUC): which there are and what they take. */

type Kind = 'ms' | 'bool' | 'text' | 'commit' | 'isolation' | 'fixed';

export interface Known {
  /** As SHOW and ParameterStatus write it. */
  name: string;
  kind: Kind;
  initial: string;
  /** Told to the client when it changes. */
  reported?: true;
}

export const known = new Map<string, Known>();
const define = (kind: Kind, name: string, initial: string, reported?: true): void =>
  void known.set(name.toLowerCase(), { name, kind, initial, ...(reported ? { reported } : {}) });

for (const name of [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
])
  define('ms', name, '0');
define('ms', 'deadlock_timeout', '1s');
define('ms', 'wal_writer_delay', '200ms');
define('ms', 'tcp_user_timeout', '0');
define('commit', 'synchronous_commit', 'on');
define('isolation', 'default_transaction_isolation', 'read committed');
define('isolation', 'transaction_isolation', 'read committed');
define('bool', 'transaction_read_only', 'off');
define('bool', 'default_transaction_read_only', 'off', true);
define('bool', 'standard_conforming_strings', 'on', true);
define('text', 'application_name', '', true);
define('text', 'client_encoding', 'UTF8', true);
define('text', 'DateStyle', 'ISO, MDY', true);
define('text', 'IntervalStyle', 'postgres', true);
define('text', 'TimeZone', 'UTC', true);
define('text', 'search_path', '"$user", public', true);
define('text', 'scram_iterations', '4096', true);
for (const [name, initial] of [
  ['client_min_messages', 'notice'],
  ['extra_float_digits', '1'],
  ['work_mem', '4MB'],
  ['bytea_output', 'hex'],
  ['role', 'none'],
  ['jit', 'off'],
])
  define('text', name!, initial!);
define('fixed', 'in_hot_standby', 'off', true);
define('fixed', 'integer_datetimes', 'on', true);
define('fixed', 'server_encoding', 'UTF8', true);
define('fixed', 'server_version', '18.4', true);
for (const [name, initial] of [
  ['server_version_num', '180004'],
  ['max_connections', '100'],
  ['superuser_reserved_connections', '3'],
  ['fsync', 'on'],
  ['shared_buffers', '32MB'],
])
  define('fixed', name!, initial!);

// What would change what the server does, and is not modelled: accepted only as it is.
export const unmodelled: Record<string, string> = { transaction_timeout: '0', role: 'none' };

const unitMs: Record<string, number> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const msMax = 2 ** 31 - 1;

const msSeen = new Map<string, number | null>();
const msSeenMax = 1_000;

/** `'5s'`, `'100 ms'` or ms: whole ms; null when it is none. */
export function msOf(value: string): number | null {
  let ms = msSeen.get(value);
  if (ms === undefined) {
    ms = readMs(value);
    if (msSeen.size < msSeenMax) msSeen.set(value, ms);
  }
  return ms;
}

function readMs(value: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(value);
  if (!match) return null;
  const unit = match[2] === '' ? 1 : unitMs[match[2]!];
  return unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

/** As SHOW writes it: in the largest unit that holds it whole. */
function msText(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['d', 'h', 'min', 's']) {
    if (ms % unitMs[unit]! === 0) return `${ms / unitMs[unit]!}${unit}`;
  }
  return `${ms}ms`;
}

const commitModes = ['on', 'off', 'local', 'remote_write', 'remote_apply'];
const isolations = ['read committed', 'read uncommitted', 'repeatable read', 'serializable'];

/** Any beginning that could be nothing else will do. */
export function boolOf(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  if (word === 'on' || word === '1') return true;
  if (word === 'of' || word === 'off' || word === '0') return false;
  if (word === '') return null;
  if ('true'.startsWith(word) || 'yes'.startsWith(word)) return true;
  return 'false'.startsWith(word) || 'no'.startsWith(word) ? false : null;
}

const invalid = (name: string, value: string): SqlError =>
  new SqlError('22023', `invalid value for parameter "${name}": "${value}"`);

function milliseconds(name: string, value: string): string {
  const ms = msOf(value);
  if (ms === null) throw invalid(name, value);
  if (ms > msMax) {
    const range = `outside the valid range for parameter "${name}" (0 ms .. ${msMax} ms)`;
    throw new SqlError('22023', `${ms} ms is ${range}`);
  }
  return msText(ms);
}

/** The value as the server keeps it, or an error. */
export function canonical({ name, kind }: Known, value: string): string {
  if (kind === 'ms') return milliseconds(name, value);
  const word = value.trim().toLowerCase();
  const truth = boolOf(word);
  if (kind === 'bool') {
    if (truth === null) throw new SqlError('22023', `parameter "${name}" requires a Boolean value`);
    return truth ? 'on' : 'off';
  }
  if (kind === 'commit') {
    if (truth !== null) return truth ? 'on' : 'off';
    if (!commitModes.includes(word)) throw invalid(name, value);
    return word;
  }
  if (kind === 'isolation' && !isolations.includes(word)) throw invalid(name, value);
  if (name === 'client_encoding')
    return value
      .toUpperCase()
      .replaceAll(/['"\- ]/g, '')
      .replace('UNICODE', 'UTF8');
  if (name === 'TimeZone' && word === 'utc') return 'UTC';
  return kind === 'isolation' ? word : value;
}

export function knownSetting(name: string): Known | null {
  const found = known.get(name.toLowerCase());
  if (found || name.includes('.')) return found ?? null;
  throw new SqlError('42704', `unrecognized configuration parameter "${name}"`);
}

/** The names a client is told of at its start, in PostgreSQL's spelling. */
export const reportedSettings = (): string[] =>
  [...known.values()].filter(({ reported }) => reported).map(({ name }) => name);

/** They decide what the application sees, and nothing here heeds them. */
const notForServer = [
  'transaction_timeout',
  'authentication_timeout',
  'client_connection_check_interval',
  'tcp_keepalives_idle',
  'tcp_keepalives_interval',
  'tcp_keepalives_count',
  'synchronous_standby_names',
];

/**
 * The server's settings as a session starts with them. Those no session has a use for are kept as they are; those
 * that would make a difference this server cannot make are refused.
 */
export function serverSettings(given: Record<string, string>): Map<string, string> {
  const initial = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) {
    if (notForServer.includes(name.toLowerCase()))
      throw new Error(`server.settings.${name}: the simulated PostgreSQL has no such limit`);
    const setting = known.get(name.toLowerCase());
    const usable = setting && setting.kind !== 'fixed';
    initial.set(name.toLowerCase(), usable ? canonical(setting, value) : value);
  }
  return initial;
}

export const settingMs = (settings: ReadonlyMap<string, string>, name: string, otherwise: number): number => {
  const value = settings.get(name);
  return value === undefined ? otherwise : (msOf(value) ?? otherwise);
};
