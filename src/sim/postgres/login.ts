import { FatalError, protocolViolation, SqlError, UnknownSqlError } from './errors.ts';
import type { Process, User } from './host.ts';
import { reportedSettings } from './known-settings.ts';
import {
  authenticationOk,
  backendKeyData,
  cleartextPassword,
  negotiateProtocol,
  parameterStatus,
  readyForQuery,
} from './messages.ts';
import { Settings } from './settings.ts';

/** From the first byte to the first ReadyForQuery. */

const sslRequest = 80_877_103;
const gssRequest = 80_877_104;
const cancelRequest = 80_877_102;
const no = Buffer.from('N');
const passwordMessage = 'p'.charCodeAt(0);

export interface LoginEvents {
  authenticated(user: User): void;
  /** The client was told that it may begin. */
  done(settings: Settings): void;
}

export class Login {
  isWaiting = false;
  #backend: Process;
  #events: LoginEvents;
  #state: 'startup' | 'password' = 'startup';
  #parameters = new Map<string, string>();
  #settings: Settings | null = null;

  constructor(backend: Process, events: LoginEvents) {
    this.#backend = backend;
    this.#events = events;
  }

  /** The next packet; false: it has not come yet. */
  step(): boolean {
    const { wire } = this.#backend;
    if (this.#state === 'startup') {
      if (!wire.nextStartup()) return false;
      this.#packet(wire.bytes.readInt32BE(wire.start));
      return true;
    }
    if (!wire.next()) return false;
    if (wire.type !== passwordMessage)
      throw protocolViolation(`expected password response, got message type ${wire.type}`);
    this.#password(wire.text(wire.start));
    return true;
  }

  #packet(code: number): void {
    const { wire, host } = this.#backend;
    if (code === sslRequest || code === gssRequest) {
      wire.put(no);
      wire.flush(this.#backend.cursorMs);
    } else if (code === cancelRequest) {
      host.cancel(wire.bytes.readInt32BE(wire.start + 4), wire.bytes.readInt32BE(wire.start + 8));
      this.#backend.exit();
    } else this.#startup(code);
  }

  #startup(version: number): void {
    const { wire, host } = this.#backend;
    if (version >> 16 !== 3) {
      const asked = `${version >> 16}.${version & 0xffff}`;
      throw new FatalError('0A000', `unsupported frontend protocol ${asked}: server supports 3.0 to 3.0`);
    }
    this.#readParameters(wire.start + 4);
    const name = this.#parameters.get('user');
    if (!name) throw new FatalError('28000', 'no PostgreSQL user name specified in startup packet');
    this.#backend.userName = name;
    const refusal = host.takeSlot(this.#backend);
    if (refusal) throw refusal;
    this.#state = 'password';
    if ((version & 0xffff) > 0) wire.put(negotiateProtocol());
    wire.put(cleartextPassword);
    wire.flush(this.#backend.cursorMs);
  }

  #readParameters(from: number): void {
    const { wire } = this.#backend;
    let at = from;
    while (at < wire.stop && wire.bytes[at] !== 0) {
      const name = wire.text(at);
      at = wire.zero(at) + 1;
      const value = wire.text(at);
      at = wire.zero(at) + 1;
      this.#parameters.set(name, value);
    }
  }

  #password(password: string): void {
    const backend = this.#backend;
    const { host } = backend;
    const user = host.userOf(backend.userName!);
    if (user?.password !== password)
      throw new FatalError('28P01', `password authentication failed for user "${backend.userName}"`);
    this.#events.authenticated(user);
    this.isWaiting = true;
    backend.cursorMs += host.draw(host.model.authMs);
    host.later(backend.cursorMs, () => this.#enter());
  }

  leave(): void {
    this.isWaiting = false;
  }

  /** Authenticated: is there a slot for such a user, and are its settings good? */
  #enter(): void {
    const backend = this.#backend;
    if (backend.isGone) return;
    const { wire, host } = backend;
    backend.cursorMs = host.nowMs;
    this.isWaiting = false;
    wire.put(authenticationOk);
    try {
      const refusal = host.mayKeepSlot(backend);
      if (refusal) throw refusal;
      this.#settings = new Settings(host.settings);
      this.#settings.startWith(asked(this.#parameters));
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      if (error instanceof UnknownSqlError) host.unknownSql(error.text);
      return backend.fatal(error);
    }
    this.#welcome(this.#settings);
    this.#events.done(this.#settings);
  }

  #welcome(settings: Settings): void {
    const { wire, pid, secret, user, cursorMs } = this.#backend;
    wire.put(parameterStatus('is_superuser', user!.superuser ? 'on' : 'off'));
    wire.put(parameterStatus('session_authorization', user!.name));
    for (const name of reportedSettings()) wire.put(parameterStatus(name, settings.get(name)));
    wire.put(backendKeyData(pid, secret));
    wire.put(readyForQuery.I);
    wire.flush(cursorMs);
  }
}

const notSettings = ['user', 'database', 'replication', 'options'];

/** The settings a client's startup packet asks for; those in `options` first. */
function asked(parameters: ReadonlyMap<string, string>): Map<string, string> {
  const settings = new Map<string, string>();
  const words = (parameters.get('options') ?? '').split(' ').filter(word => word !== '');
  for (let n = 0; n < words.length; n += 1) {
    const word = words[n]!;
    const setting = word === '-c' ? words[++n] : word.replace(/^(-c|--)/, '');
    const equals = setting?.indexOf('=') ?? -1;
    if (setting === undefined || equals < 1)
      throw new FatalError('42601', `invalid command-line argument for server process: ${word}`);
    settings.set(setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1));
  }
  for (const [name, value] of parameters) {
    if (!notSettings.includes(name) && !name.startsWith('_pq_.')) settings.set(name, value);
  }
  return settings;
}
