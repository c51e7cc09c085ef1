import { type Clock, within } from '../../clock.ts';
import { UsageError } from '../../failure.ts';
import type { Guardian } from '../../guardian/guardian.ts';
import { loopbackUrl } from '../../toxiproxy.ts';
import type { LinkKill, Need, ProxyControl } from '../world.ts';

/** Which fault proxy a run uses: a process of ours, or a stock Toxiproxy on this machine. */
export type ProxyChoice = { kind: 'embedded' } | { kind: 'toxiproxy'; url: string };

export const proxyRule =
  'must be embedded, or toxiproxy=URL with an http URL on loopback, such as toxiproxy=http://127.0.0.1:8474';

/** "embedded" or "toxiproxy=http://127.0.0.1:8474"; null: neither. */
export function parseProxy(text: string): ProxyChoice | null {
  if (text === 'embedded') return { kind: 'embedded' };
  if (!text.startsWith('toxiproxy=')) return null;
  const url = loopbackUrl(text.slice('toxiproxy='.length));
  return url === null ? null : { kind: 'toxiproxy', url };
}

/** As the command line takes it; embedded unless said. */
export function proxyChoice(text = 'embedded'): ProxyChoice {
  const choice = parseProxy(text);
  if (choice === null) throw new UsageError(`--proxy: is ${JSON.stringify(text)}; ${proxyRule}`);
  return choice;
}

/** A fault proxy in front of one server, by one address: clients -> proxy -> server. */
export interface FaultProxy {
  control: ProxyControl;
  host: string;
  /** Where clients connect. */
  port: number;
  provides: readonly Need[];
  /** When it is not ours. */
  version?: string;
  /** For a proxy that does not see by itself that its server is away and must refuse meanwhile. */
  serverGone?(): Promise<void>;
  serverBack?(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenProxy {
  clock: Clock;
  guardian: Guardian;
  trial: string;
  seed: number;
  upstreamPort: number;
  /** What will be asked of it. */
  needs: ReadonlySet<Need>;
  kill(kill: LinkKill): void;
  lost(detail: string): void;
}

export const host = '127.0.0.1';
const callLimitMs = 5_000;

/** A call of a proxy, with a limit, and an error that says where it was. */
export async function call<T>(clock: Clock, what: string, work: Promise<T>): Promise<T> {
  const late = Symbol('late');
  work.catch(() => {});
  try {
    const value = await within(clock, callLimitMs, work, late);
    if (value === late) throw new Error(`no answer within ${callLimitMs} ms`);
    return value as T;
  } catch (error) {
    throw new Error(`the fault proxy could not ${what}: ${(error as Error).message}`, { cause: error });
  }
}
