import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Clock, within } from '../clock.ts';
import { UsageError } from '../failure.ts';
import type { Guardian } from '../guardian/guardian.ts';
import { type Account, canReach, serverAccount } from './account.ts';
import { findNative, type Native, prepareNative } from './native.ts';
import { superuser } from './postgres.ts';
import { logLinePrefix } from './server-log.ts';
import { MissingError } from './world.ts';

/** A data folder, and how to run programs on it. */
export interface Cluster {
  data: string;
  bin: string;
  spawn(what: string, program: string, args: readonly string[]): ChildProcess;
}

export interface MakeCluster {
  clock: Clock;
  guardian: Guardian;
  /** Folder name, unique in the run. */
  name: string;
  /** The superuser's. */
  password: string;
  appSlots: number;
  settings: Record<string, string>;
  /** PostgreSQL's programs, when they are not npm's. */
  native?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Slots only a superuser gets, as PostgreSQL ships. */
const reservedSlots = 3;
/** The side door's connection and one of the probes': a superuser's session takes an ordinary slot. */
const harnessSlots = 2;
const initLimitMs = 60_000;
const outputTail = 2_000;

const reserved =
  /^(port|listen_addresses|.*_directory|.*_directories|.*_file|.*max_connections|.*reserved_connections|log.*|ssl.*)$/;

const quote = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

/** postgresql.conf; the scenario's settings come last and win. */
export function configuration(appSlots: number, settings: Record<string, string>): string {
  const ours = {
    listen_addresses: '127.0.0.1',
    // Folders of ours may be longer than a socket's path can be.
    unix_socket_directories: '',
    max_connections: String(appSlots + reservedSlots + harnessSlots),
    superuser_reserved_connections: String(reservedSlots),
    reserved_connections: '0',
    fsync: 'on',
    shared_buffers: '32MB',
    // Files in the data folder: those in /dev/shm would outlive a killed server.
    dynamic_shared_memory_type: 'mmap',
    huge_pages: 'off',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_destination: 'stderr',
    log_line_prefix: logLinePrefix,
    // In the log LOG and FATAL rank above ERROR: refusals come, planned rejections do not.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
  };
  for (const [name, value] of Object.entries(settings)) {
    if (!/^[a-z_][a-z0-9_.]*$/i.test(name) || /\p{Cc}/u.test(value)) {
      throw new UsageError(`server.settings: ${JSON.stringify(name)} is no PostgreSQL setting on one line`);
    }
    if (reserved.test(name.toLowerCase()))
      throw new UsageError(`server.settings.${name}: is poolsoak's own to set`);
  }
  const lines = Object.entries({ ...ours, ...settings }).map(
    ([name, value]) => `${name} = ${quote(value)}\n`,
  );
  return lines.join('');
}

interface Place {
  folder: string;
  account: Account | null;
  native: Native;
}

/** Where the server's user can get to: this run's folder, unless a folder above it is closed to others. */
function sharedFolder(guardian: Guardian, account: Account | null): string {
  const folder = realpathSync(guardian.folder);
  if (!account || canReach(join(folder, 'x'), account)) return folder;
  const open = ['/tmp', '/var/tmp'].find(path => canReach(join(path, 'x'), account));
  if (!open) {
    throw new MissingError(
      `user ${account.name}, as whom root runs PostgreSQL, cannot reach ${folder}: set TMPDIR`,
    );
  }
  const other = join(realpathSync(open), `poolsoak-${guardian.cookie}`);
  guardian.addFolder(other);
  mkdirSync(other);
  chmodSync(other, 0o711);
  return other;
}

/** Copying PostgreSQL takes longer than starting it: once a run. */
const places = new WeakMap<Guardian, Map<string, Place>>();

function placeOf(guardian: Guardian, from: string): Place {
  const known = places.get(guardian) ?? new Map<string, Place>();
  places.set(guardian, known);
  let place = known.get(from);
  if (!place) {
    const account = serverAccount();
    const folder = sharedFolder(guardian, account);
    place = { account, folder, native: prepareNative(from, folder, account) };
    known.set(from, place);
  }
  return place;
}

function makeFolder(path: string, account: Account | null): void {
  mkdirSync(path, { mode: 0o700 });
  give(path, account);
}

function give(path: string, account: Account | null): void {
  if (!account) return;
  try {
    chownSync(path, account.uid, account.gid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new MissingError(
      `root here may not give ${path} to user ${account.name} (${code}), as whom PostgreSQL must run: run as an ordinary user`,
      { cause: error },
    );
  }
}

/** Runs to its end; rejects with its output when that is not success. */
async function runToEnd(
  child: ChildProcess,
  what: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  let said = '';
  const hear = (chunk: Buffer): void => {
    said = (said + chunk).slice(-outputTail);
  };
  child.stdout!.on('data', hear);
  child.stderr!.on('data', hear);
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('close', (code, by) => resolve(code === 0 ? '' : (by ?? `exit code ${code}`)));
  });
  let stop = () => {};
  const aborted = new Promise<string>(resolve => {
    stop = () => resolve('aborted');
  });
  signal?.addEventListener('abort', stop);
  const limit = `not done within ${initLimitMs} ms`;
  const how = await within(clock, initLimitMs, Promise.race([ended, aborted]), limit);
  // The run's signal outlives every cluster of its trials.
  signal?.removeEventListener('abort', stop);
  if (how === '') return;
  child.kill('SIGKILL');
  await within(clock, 1_000, ended, null);
  signal?.throwIfAborted();
  const noUser = said.includes('could not look up effective user ID');
  const text = `${what} failed (${how}): ${said.trim()}`;
  throw noUser
    ? new MissingError(`${text}: PostgreSQL needs its user to have an entry in /etc/passwd`)
    : new Error(text);
}

/** `initdb`: a fresh data folder with passwords from the first moment on. */
async function initialise(
  cluster: Cluster,
  home: string,
  account: Account | null,
  options: MakeCluster,
): Promise<void> {
  const passwordFile = join(home, 'password');
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  try {
    give(passwordFile, account);
    const args = ['-D', cluster.data, '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
    const more = ['-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
    const child = cluster.spawn('initdb', 'initdb', [...args, ...more]);
    await runToEnd(child, 'initdb', options.clock, options.signal);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Makes a data folder in the run's folder, which the guardian removes should nobody else. */
export async function makeCluster(options: MakeCluster): Promise<{ cluster: Cluster; home: string }> {
  const config = configuration(options.appSlots, options.settings);
  const { folder, account, native } = placeOf(options.guardian, options.native ?? findNative());
  const home = join(folder, options.name);
  makeFolder(home, account);
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...native.env };
  const as = account ? { uid: account.uid, gid: account.gid } : {};
  const cluster: Cluster = {
    data: join(home, 'data'),
    bin: native.bin,
    spawn: (what, program, args) =>
      options.guardian.spawn(what, join(native.bin, program), args, {
        env,
        cwd: home,
        stdio: ['ignore', 'pipe', 'pipe'],
        ...as,
      }),
  };
  try {
    await initialise(cluster, home, account, options);
    appendFileSync(join(cluster.data, 'postgresql.conf'), config);
    return { cluster, home };
  } catch (error) {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}
