import { Block } from './block.ts';
import { aborted, FatalError, protocolViolation, SqlError, UnknownSqlError } from './errors.ts';
import type { Process } from './host.ts';
import * as messages from './messages.ts';
import { describeParameters, type Portal, readBind, readParse } from './portal.ts';
import { PreparedStatements } from './prepared.ts';
import { Runner } from './runner.ts';
import { describe } from './select.ts';
import type { Settings } from './settings.ts';
import { endsTransaction, type Statement } from './statement.ts';
import type { Value } from './values.ts';

/** A logged-in session: its queries, by the simple and by the extended protocol. */

const code = (letter: string): number => letter.charCodeAt(0);
const [query, parse, bind, describeIt, execute, sync, close, flush, terminate] = [...'QPBDESCHX'].map(code);
const copyMessages = [...'dcf'].map(code);
const ofStatement = code('S');
const noValues: Value[] = [];

export class Session {
  readonly block: Block;
  readonly settings: Settings;
  #backend: Process;
  #runner: Runner;
  #prepared = new PreparedStatements();
  /** After an error in the extended protocol nothing counts until Sync. */
  #skips = false;
  #extended = false;
  /** A query's statements, or a portal's one, and the one that runs. */
  #list: readonly Statement[] = [];
  #at = 0;
  #given: readonly Value[] = noValues;
  #sql = '';
  #portal: Portal | null = null;
  #rowsMax = 0;
  /** What comes when the wait is over: `run` the statement, `answer` it, or, of Sync, tell it is `ready`. */
  #next: 'run' | 'answer' | 'ready' = 'run';
  #tag = '';

  constructor(backend: Process, settings: Settings) {
    this.#backend = backend;
    this.settings = settings;
    this.block = new Block(backend.host.store, settings, backend.pid);
    this.#runner = new Runner(backend, settings, this.block, {
      woken: () => this.#guarded(() => this.#go()),
      failed: error =>
        this.#guarded(() => {
          throw error;
        }),
      deallocate: name => this.#prepared.deallocate(name),
    });
  }

  get isWaiting(): boolean {
    return this.#runner.isWaiting;
  }

  get isCommitting(): boolean {
    return this.#runner.isCommitting;
  }

  cancel(): void {
    this.#runner.cancel();
  }

  /** Its process is killed: with what it was at. */
  kill(): void {
    this.#runner.kill();
  }

  leave(): void {
    this.#runner.leave();
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#failed(error);
    }
    this.#backend.drain();
  }

  /** The message that `wire` holds. */
  message(): void {
    try {
      this.#dispatch(this.#backend.wire.type);
    } catch (error) {
      this.#failed(error);
    }
  }

  #dispatch(type: number): void {
    if (type === sync) return this.#sync();
    if (type === terminate) return this.#backend.exit();
    if (this.#skips) return;
    this.#extended = type !== query;
    if (type === query) this.#query();
    else if (type === parse) this.#parse();
    else if (type === bind) this.#bind();
    else if (type === describeIt) this.#describe();
    else if (type === execute) this.#execute();
    else if (type === close) this.#close();
    else if (type === flush) this.#flush();
    else if (!copyMessages.includes(type)) throw protocolViolation(`invalid frontend message type ${type}`);
  }

  #failed(error: unknown): void {
    if (!(error instanceof SqlError)) throw error;
    if (error instanceof FatalError) return this.#backend.fatal(error);
    const { wire, host } = this.#backend;
    if (error instanceof UnknownSqlError) host.unknownSql(error.text);
    this.block.fail();
    wire.put(messages.report('ERROR', error.sqlState, error.message, error.fields));
    this.#portal = null;
    if (!this.#extended) return this.#ready();
    this.#skips = true;
    this.#flush();
  }

  #flush(): void {
    this.#backend.wire.flush(this.#backend.cursorMs);
    this.#backend.noticeLoss();
  }

  #ready(): void {
    const { wire } = this.#backend;
    for (const [name, value] of this.settings.takeNews()) wire.put(messages.parameterStatus(name, value));
    const { status } = this.block;
    // They end with their transaction.
    if (status === 'I') this.#prepared.endPortals();
    wire.putConstant(messages.readyForQuery[status]);
    this.#flush();
    if (!this.#backend.isGone) this.#backend.ready();
  }

  // Simple protocol.

  #query(): void {
    const { wire, host } = this.#backend;
    this.#prepared.forgetUnnamed();
    this.#portal = null;
    const { text, statements, places } = host.sql.parseBytes(wire.bytes, wire.start, wire.zero(wire.start));
    this.#sql = text;
    if (places > 0) throw new SqlError('42P02', 'there is no parameter $1');
    if (statements.length === 0) {
      wire.putConstant(messages.emptyQuery);
      return this.#ready();
    }
    this.#runner.describes = true;
    this.#given = noValues;
    this.#start(statements);
  }

  #start(list: readonly Statement[]): void {
    this.#list = list;
    this.#at = 0;
    this.#enter();
    this.#go();
  }

  /** A statement begins. */
  #enter(): void {
    const statement = this.#list[this.#at]!;
    this.#mayRun(statement);
    this.block.enter(this.#list.length > 1);
    this.#runner.begin();
    this.#next = 'run';
  }

  #mayRun(statement: Statement): void {
    if (this.block.state === 'failed' && !endsTransaction(statement)) throw aborted();
  }

  /** Until all have run, or one waits. */
  #go(): void {
    for (;;) {
      if (this.#next === 'ready') return this.#ready();
      if (this.#next === 'run' && !this.#run()) return;
      this.#answer();
      if (this.#extended) return;
      this.#at += 1;
      if (this.#at === this.#list.length) return this.#ready();
      this.#enter();
    }
  }

  /** false: it waits. */
  #run(): boolean {
    const tag = this.#runner.run(this.#list[this.#at]!, this.#given, this.#sql);
    if (tag === null) return false;
    this.#tag = tag;
    this.#next = 'answer';
    return !this.#commitsNow() || this.#runner.commit();
  }

  #commitsNow(): boolean {
    if (this.#runner.commits) return true;
    // Of the extended protocol Sync commits what is not in a block.
    if (this.#extended || this.#at < this.#list.length - 1) return false;
    return this.block.state === 'single' || this.block.state === 'implicit';
  }

  #answer(): void {
    const { wire } = this.#backend;
    const portal = this.#portal;
    const hasRows = this.#tag.startsWith('SELECT');
    if (portal && hasRows && this.#rowsMax === 1) wire.putConstant(messages.portalSuspended);
    else wire.putConstant(messages.commandComplete(this.#tag));
    if (portal) portal.done = true;
  }

  // Extended protocol.

  #parse(): void {
    const { wire, host } = this.#backend;
    const name = wire.text(wire.start);
    const prepared = readParse(wire, wire.zero(wire.start) + 1, host.sql);
    if (prepared.statement) this.#mayRun(prepared.statement);
    this.#prepared.add(name, prepared, host.store);
    wire.putConstant(messages.parseComplete);
  }

  #bind(): void {
    const { wire, host } = this.#backend;
    const portal = wire.text(wire.start);
    const at = wire.zero(wire.start) + 1;
    const name = wire.text(at);
    const prepared = this.#prepared.statement(name);
    if (prepared.statement) this.#mayRun(prepared.statement);
    const values = readBind(wire, wire.zero(at) + 1, prepared, name, host.store);
    this.#prepared.addPortal(portal, { prepared, values, done: false });
    wire.putConstant(messages.bindComplete);
  }

  #describe(): void {
    const { wire, host } = this.#backend;
    const name = wire.text(wire.start + 1);
    if (wire.bytes[wire.start] === ofStatement) {
      const prepared = this.#prepared.statement(name);
      wire.put(describeParameters(prepared, host.store));
      this.#putDescription(prepared.statement);
    } else this.#putDescription(this.#prepared.portal(name).prepared.statement);
  }

  #putDescription(statement: Statement | null): void {
    const description = describe(statement);
    if (description) this.#backend.wire.put(description);
    else this.#backend.wire.putConstant(messages.noData);
  }

  #execute(): void {
    const { wire } = this.#backend;
    const portal = this.#prepared.portal(wire.text(wire.start));
    const { statement, parsed } = portal.prepared;
    if (!statement) return wire.putConstant(messages.emptyQuery);
    if (portal.done && describe(statement)) return wire.putConstant(messages.commandComplete('SELECT 0'));
    this.#rowsMax = wire.bytes.readInt32BE(wire.stop - 4);
    this.#sql = parsed.text;
    this.#given = portal.values;
    this.#portal = portal;
    this.#runner.describes = false;
    this.#start([statement]);
  }

  #sync(): void {
    this.#skips = false;
    this.#extended = true;
    this.#next = 'ready';
    if (this.block.state === 'single' && !this.#runner.commit()) return;
    this.#ready();
  }

  #close(): void {
    const { wire } = this.#backend;
    const name = wire.text(wire.start + 1);
    if (wire.bytes[wire.start] === ofStatement) this.#prepared.closeStatement(name);
    else this.#prepared.closePortal(name);
    wire.putConstant(messages.closeComplete);
  }
}
