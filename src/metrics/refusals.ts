import { ints, times } from './columns.ts';

/** Out of connections: PostgreSQL; MySQL and MariaDB: too many, user's too many, user's resource limit. */
const refusalErrnos = new Set([1040, 1203, 1226]);

export const isRefusal = (error: { sqlState: string | null; errno?: number | null } | null): boolean =>
  error !== null && (error.sqlState === '53300' || refusalErrnos.has(error.errno ?? 0));

/** When somebody was refused a connection, and the line that says so. */
export class Refusals {
  readonly atMs = times();
  readonly line = ints();

  get length(): number {
    return this.atMs.length;
  }

  add(atMs: number, line: number): void {
    this.atMs.push(atMs);
    this.line.push(line);
  }

  /** null: none. */
  firstMs(): number | null {
    return this.length > 0 ? (this.atMs.sorted()[0] as number) : null;
  }
}
