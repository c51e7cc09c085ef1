import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';

/** Where to connect or listen. No host: every interface. */
export interface Address {
  host?: string;
  port: number;
}

/** "host:port", "[::1]:port" or ":port". Throws what Go's net package would say of it. */
export function parseAddress(text: string): Address {
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(text);
  if (parts === null) {
    const colons = text.split(':').length - 1;
    throw new Error(
      `address ${text}: ${colons > 1 ? 'too many colons in address' : 'missing port in address'}`,
    );
  }
  const host = parts[1] ?? parts[2]!;
  const port = Number(parts[3]);
  if (!/^[+-]?\d*$/.test(parts[3]!)) throw new Error(`lookup tcp/${parts[3]}: unknown port`);
  if (!(port >= 0 && port <= 65_535)) throw new Error(`address ${parts[3]}: invalid port`);
  return host === '' ? { port } : { host, port };
}

/** The address with its host as a number, IPv4 before IPv6 as Toxiproxy has it. */
export async function resolveAddress(text: string): Promise<Address> {
  const { host, port } = parseAddress(text);
  if (host === undefined) return { port };
  const found = await lookup(host, { verbatim: false });
  return { host: found.address, port };
}

export const addressText = ({ host, port }: Address): string =>
  host === undefined ? `[::]:${port}` : `${isIPv6(host) ? `[${host}]` : host}:${port}`;
