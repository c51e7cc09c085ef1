import { noStatement, SqlError } from './errors.ts';
import { checkPrepared, type Portal, type Prepared } from './portal.ts';
import type { Store } from './store.ts';

/** A session's prepared statements and portals, by their names; the unnamed ones, of nearly every statement, apart. */
export class PreparedStatements {
  #statements = new Map<string, Prepared>();
  #portals = new Map<string, Portal>();
  #unnamed: Prepared | undefined;
  #unnamedPortal: Portal | undefined;

  add(name: string, prepared: Prepared, store: Store): void {
    if (name !== '' && this.#statements.has(name))
      throw new SqlError('42P05', `prepared statement "${name}" already exists`);
    checkPrepared(prepared, store);
    if (name === '') this.#unnamed = prepared;
    else this.#statements.set(name, prepared);
  }

  statement(name: string): Prepared {
    const prepared = name === '' ? this.#unnamed : this.#statements.get(name);
    if (!prepared) throw noStatement(name);
    return prepared;
  }

  addPortal(name: string, portal: Portal): void {
    if (name === '') {
      this.#unnamedPortal = portal;
      return;
    }
    if (this.#portals.has(name)) throw new SqlError('42P03', `cursor "${name}" already exists`);
    this.#portals.set(name, portal);
  }

  portal(name: string): Portal {
    const portal = name === '' ? this.#unnamedPortal : this.#portals.get(name);
    if (!portal) throw new SqlError('34000', `portal "${name}" does not exist`);
    return portal;
  }

  /** A simple query does away with the unnamed ones. */
  forgetUnnamed(): void {
    this.#unnamed = undefined;
    this.#unnamedPortal = undefined;
  }

  /** Their transaction is over. */
  endPortals(): void {
    this.#unnamedPortal = undefined;
    if (this.#portals.size > 0) this.#portals.clear();
  }

  closeStatement(name: string): void {
    if (name === '') this.#unnamed = undefined;
    else this.#statements.delete(name);
  }

  closePortal(name: string): void {
    if (name === '') this.#unnamedPortal = undefined;
    else this.#portals.delete(name);
  }

  /** null: all of them. */
  deallocate(name: string | null): void {
    if (name === null) {
      this.#statements.clear();
      this.#unnamed = undefined;
    } else if (!this.#statements.delete(name)) throw noStatement(name);
  }
}
