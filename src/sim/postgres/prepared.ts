import { noStatement, SqlError } from './errors.ts';
import { checkPrepared, type Portal, type Prepared } from './portal.ts';
import type { Store } from './store.ts';

/** A session's prepared statements and portals, by their names; '' is the unnamed one of each. */
export class PreparedStatements {
  #statements = new Map<string, Prepared>();
  #portals = new Map<string, Portal>();

  add(name: string, prepared: Prepared, store: Store): void {
    if (name !== '' && this.#statements.has(name))
      throw new SqlError('42P05', `prepared statement "${name}" already exists`);
    checkPrepared(prepared, store);
    this.#statements.set(name, prepared);
  }

  statement(name: string): Prepared {
    const prepared = this.#statements.get(name);
    if (!prepared) throw noStatement(name);
    return prepared;
  }

  addPortal(name: string, portal: Portal): void {
    if (name !== '' && this.#portals.has(name))
      throw new SqlError('42P03', `cursor "${name}" already exists`);
    this.#portals.set(name, portal);
  }

  portal(name: string): Portal {
    const portal = this.#portals.get(name);
    if (!portal) throw new SqlError('34000', `portal "${name}" does not exist`);
    return portal;
  }

  /** A simple query does away with the unnamed ones. */
  forgetUnnamed(): void {
    this.#statements.delete('');
    this.#portals.delete('');
  }

  /** Their transaction is over. */
  endPortals(): void {
    this.#portals.clear();
  }

  closeStatement(name: string): void {
    this.#statements.delete(name);
  }

  closePortal(name: string): void {
    this.#portals.delete(name);
  }

  /** null: all of them. */
  deallocate(name: string | null): void {
    if (name === null) this.#statements.clear();
    else if (!this.#statements.delete(name)) throw noStatement(name);
  }
}
