import { z } from 'zod';
import { clientConfig, clientKnobs, clientSettings, PgLease, trackedClient, versions } from './pg/client.ts';
import type { PoolAdapter } from './pool.ts';

/** No pool at all: a new connection for every submit, ended when it is released. */
export const connectPerSubmit: PoolAdapter = {
  name: 'connect-per-submit',
  summary: 'no pool: a new pg.Client for every submit',
  engines: ['postgres'],
  settings: z.strictObject(clientSettings),
  knobs: clientKnobs,
  max: () => null,
  acquireTimeoutMs: given => (given.connectionTimeoutMillis as number) || null,
  versions,
  open(options) {
    const { app } = options;
    const { Client, leaseOf } = trackedClient(options.hooks);
    const open = new Set<InstanceType<typeof Client>>();
    const config = clientConfig(options);
    return {
      acquire: async () => {
        const client = new Client(config);
        if (app.onClientError === 'listen') client.on('error', () => {});
        client.once('end', () => open.delete(client));
        await client.connect();
        open.add(client);
        return new PgLease(client, leaseOf(client), () => client.end());
      },
      gauges: () => ({ total: open.size, idle: 0, waiting: 0, max: null }),
      close: async () => {
        await Promise.all([...open].map(client => client.end()));
      },
    };
  },
};
