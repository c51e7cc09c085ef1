import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, realClock } from '../clock.ts';
import { seeded } from '../random.ts';
import { api } from './api.ts';
import type { Emit } from './events.ts';
import { listenError } from './listener.ts';
import { type MetricsWanted, metricsOf } from './metrics.ts';
import { Proxies } from './proxies.ts';

export interface ProxyServerOptions {
  host: string;
  port: number;
  seed: string;
  emit: Emit;
  clock?: Clock;
  metrics?: MetricsWanted;
  /** Proxies to begin with, as POST /populate takes them. */
  population?: unknown;
}

export interface ProxyServer {
  host: string;
  port: number;
  proxies: Proxies;
  /** Destroys every link and listener and the API with them. */
  close(): void;
}

/** The API on its port. Tells `listening` and, later, every kill. */
export async function startProxyServer(options: ProxyServerOptions): Promise<ProxyServer> {
  const { host, port, seed, emit, clock = realClock, population = [] } = options;
  const proxies = new Proxies({ clock, random: seeded('proxy', seed), emit });
  const metrics = metricsOf(proxies, options.metrics ?? { proxy: false, runtime: false });
  const server = createServer({ requestTimeout: 15_000 }, api({ proxies, metrics }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(listenError({ host, port }, error)));
    server.listen({ host, port }, resolve);
  });
  const close = () => {
    proxies.stop();
    server.close();
    server.closeAllConnections();
  };
  const { error } = await proxies.populate(population);
  if (error !== null) {
    close();
    throw error;
  }
  const at = server.address() as AddressInfo;
  emit({ ev: 'listening', host: at.address, port: at.port, seed });
  return { host: at.address, port: at.port, proxies, close };
}
