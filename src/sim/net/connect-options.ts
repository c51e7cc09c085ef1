import { nodeError } from './errors.ts';

/** Where `connect` was told to go. */
export interface Target {
  port: number;
  host: string;
  timeoutMs: number;
  connected: (() => void) | null;
}

type Options = { port?: number | string; host?: string; path?: string; timeout?: number };

/** `connect(port, host, cb)`, `connect(port, cb)`, `connect(options, cb)`, as node takes them. */
export function targetOf(given: unknown[]): Target {
  // net.connect hands its own arguments on as one array.
  const args = Array.isArray(given[0]) ? (given[0] as unknown[]) : given;
  const last = args.at(-1);
  const [first, second] = args;
  const host = typeof second === 'string' ? second : undefined;
  const options: Options =
    typeof first === 'object' && first !== null
      ? (first as Options)
      : { port: first as number, ...(host && { host }) };
  if (options.path !== undefined || Number.isNaN(Number(options.port)))
    throw nodeError('ERR_INVALID_ARG_VALUE', 'a virtual socket connects to a TCP port, no path');
  return {
    port: portOf(options.port),
    host: options.host || 'localhost',
    timeoutMs: options.timeout ?? 0,
    connected: typeof last === 'function' ? (last as () => void) : null,
  };
}

function portOf(given: unknown): number {
  const port = Number(given);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  const message = `Port should be >= 0 and < 65536. Received ${String(given)}.`;
  throw Object.assign(new RangeError(message), { code: 'ERR_SOCKET_BAD_PORT' });
}

/** The address a name stands for here, or null: only the loopback has a name. */
export function addressOf(host: string): string | null {
  return host === 'localhost' || host === '127.0.0.1' ? '127.0.0.1' : null;
}
