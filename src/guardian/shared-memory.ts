import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const removeLimitMs = 1_000;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Whether nobody uses the segment and it was made by this process, so that it is surely the dead server's. */
function isOrphan(pid: number, key: number, id: number): boolean {
  return read('/proc/sysvipc/shm')
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
    .some(([k, i, , , maker, , users]) => k! >>> 0 === key >>> 0 && i === id && maker === pid && users === 0);
}

/**
 * PostgreSQL killed outright leaves a segment of System V shared memory, which outlives every process and of
 * which a machine has few. A server on the same folder would take it over; where none will, this removes it.
 */
export function releaseSharedMemory(dataFolder: string): void {
  const lines = read(join(dataFolder, 'postmaster.pid')).split('\n');
  // The pid is negative for the server that initdb runs.
  const pid = Math.abs(Number(lines[0]));
  const [key, id] = (lines[6] ?? '').trim().split(/\s+/).map(Number);
  if (!key || id === undefined || !isOrphan(pid, key, id)) return;
  spawnSync('ipcrm', ['-m', String(id)], { stdio: 'ignore', timeout: removeLimitMs });
}

/** The same for every data folder in a run's folder: `<folder>/<world>/data`. */
export function releaseAllSharedMemory(folder: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // There is none, or it was never made.
  }
  for (const name of names) releaseSharedMemory(join(folder, name, 'data'));
}
