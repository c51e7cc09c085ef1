import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, realClock } from '../clock.ts';
import { seeded } from '../random.ts';
import { api } from './api.ts';
import type { Emit } from './events.ts';
import { listenError } from './listener.ts';
import { Proxies } from './proxies.ts';

export interface ProxyServerOptions {
  host: string;
  port: number;
  seed: string;
  emit: Emit;
  clock?: Clock;
}

export interface ProxyServer {
  host: string;
  port: number;
  /** Destroys every link and listener and the API with them. */
  close(): void;
}

/** The API on its port, with no proxy yet. Tells `listening` and, later, every kill. */
export async function startProxyServer(options: ProxyServerOptions): Promise<ProxyServer> {
  const { host, port, seed, emit, clock = realClock } = options;
  const proxies = new Proxies({ clock, random: seeded('proxy', seed), emit });
  const server = createServer({ requestTimeout: 15_000 }, api(proxies));
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(listenError({ host, port }, error)));
    server.listen({ host, port }, resolve);
  });
  const at = server.address() as AddressInfo;
  emit({ ev: 'listening', host: at.address, port: at.port, seed });
  return {
    host: at.address,
    port: at.port,
    close() {
      proxies.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}
