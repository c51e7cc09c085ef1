import type { Connection } from 'mysql2';
import { z } from 'zod';
import {
  clientConfig,
  clientKnobs,
  clientSettings,
  end,
  onClose,
  tracker,
  versions,
} from './mysql2/client.ts';
import { MysqlLease } from './mysql2/lease.ts';
import type { PoolAdapter } from './pool.ts';

/** No pool at all: a new connection for every submit, ended when it is released. */
export const mysql2ConnectPerSubmit: PoolAdapter = {
  name: 'mysql2-connect-per-submit',
  summary: 'no pool: a new connection of mysql2 for every submit',
  engines: ['mariadb', 'mysql'],
  settings: z.strictObject(clientSettings),
  knobs: clientKnobs,
  max: () => null,
  acquireTimeoutMs: given => (given.connectTimeout as number) || null,
  versions,
  async open(options) {
    const { createConnection } = await import('mysql2');
    const { app } = options;
    const idOf = tracker(options.hooks);
    const open = new Set<Connection>();
    const config = clientConfig(options);
    return {
      acquire: () =>
        new Promise((resolve, reject) => {
          const connection = createConnection(config);
          const conn = idOf(connection);
          if (app.onClientError === 'listen') connection.on('error', () => {});
          onClose(connection, () => open.delete(connection));
          connection.connect(error => {
            if (error) return reject(error);
            open.add(connection);
            const giveBack = (broken?: Error) => (broken ? connection.destroy() : end(connection));
            resolve(new MysqlLease(connection, conn, app.statementTimeoutMs, giveBack));
          });
        }),
      gauges: () => ({ total: open.size, idle: 0, waiting: 0, max: null }),
      close: async () => {
        // A broken one may not be ended, only gone.
        await Promise.allSettled([...open].map(end));
      },
    };
  },
};
