import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { MissingError } from './world.ts';

/** The user a server runs as. PostgreSQL refuses root, and wants its user to have a passwd entry. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

const preferred = ['nobody', 'postgres', 'daemon', 'bin'];

/** `name:x:uid:gid:...` */
function parsePasswd(text: string): Account[] {
  return text
    .split('\n')
    .map(line => line.split(':'))
    .filter(fields => fields.length >= 4 && /^\d+$/.test(fields[2]!) && /^\d+$/.test(fields[3]!))
    .map(([name, , uid, gid]) => ({ name: name!, uid: Number(uid), gid: Number(gid) }))
    .filter(account => account.uid > 0);
}

/** The user to switch to when we are root; null: we are an ordinary user and the server runs as we do. */
export function serverAccount(passwd = '/etc/passwd'): Account | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = parsePasswd(readFileSync(passwd, 'utf8'));
  const named = preferred.flatMap(name => accounts.filter(account => account.name === name));
  const account = named[0] ?? accounts[0];
  if (account) return account;
  throw new MissingError(
    `PostgreSQL does not run as root and ${passwd} has no other user: add one (nobody), or run as an ordinary user`,
  );
}

/** Whether the account has the `bits` (4 read, 1 pass or execute) on this one file or folder. */
export function mayUse(path: string, bits: number, { uid, gid }: Account): boolean {
  const stat = statSync(path);
  const shift = stat.uid === uid ? 6 : stat.gid === gid ? 3 : 0;
  return ((stat.mode >> shift) & bits) === bits;
}

/** Whether the account can pass through every folder above `path`. */
export function canReach(path: string, account: Account): boolean {
  const parent = dirname(path);
  return parent === path || (mayUse(parent, 1, account) && canReach(parent, account));
}
