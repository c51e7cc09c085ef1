import { FatalError, type SqlError } from './errors.ts';
import type { Process } from './host.ts';

/** max_connections and what is kept of it for superusers. */

/** superuser_reserved_connections, as PostgreSQL ships. */
const reservedSlots = 3;
/** The harness's side door and one of its probes: a superuser's session takes an ordinary slot. */
const harnessSlots = 2;

export const slotsFor = (appSlots: number): number => appSlots + reservedSlots + harnessSlots;

function taken(backends: Iterable<Process>): number {
  let count = 0;
  for (const { hasSlot } of backends) if (hasSlot) count += 1;
  return count;
}

/** Before its password is asked for. */
export function takeSlot(backend: Process, backends: Iterable<Process>, slots: number): SqlError | null {
  if (taken(backends) >= slots) return new FatalError('53300', 'sorry, too many clients already');
  backend.hasSlot = true;
  return null;
}

/** Once it is known who it is: its own slot is taken, and others' must be left. */
export function mayKeepSlot(backend: Process, backends: Iterable<Process>, slots: number): SqlError | null {
  if (backend.user!.superuser || slots - taken(backends) >= reservedSlots) return null;
  const text = 'remaining connection slots are reserved for roles with the SUPERUSER attribute';
  return new FatalError('53300', text);
}
