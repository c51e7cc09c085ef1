import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedRows } from './clients/embedded-rows.ts';
import { type Engine, engines } from './clients/engines.ts';
import { Scene, wordsOf } from './clients/scene.ts';
import { stockRows } from './clients/stock-rows.ts';
import { type RunningServer, servers, startServer, titleOf } from './conformance/servers.ts';
import { Stage } from './conformance/stage.ts';
import type { Differs } from './conformance/suite.ts';

/** What people's pools see of each fault: pg and mysql2 with real databases behind both proxies. */
describe.each(engines.map(engine => [engine.name, engine] as const))('%s', (_name, engine) => {
  let db: Engine;
  beforeAll(async () => {
    if (!engine.absent) db = await engine.open();
  });
  afterAll(() => db?.close());

  describe.each(servers.map(kind => [titleOf(kind), kind] as const))(
    `%s${engine.absent ? ` (${engine.absent})` : ''}`,
    (_title, kind) => {
      const absent = Boolean(engine.absent ?? kind.absent);
      let server: RunningServer;
      beforeAll(async () => {
        if (!absent) server = await startServer(kind);
      });
      afterAll(() => server?.close());
      const differs: Differs = (_because, toxiproxys, ours) => (kind.name === 'embedded' ? ours : toxiproxys);

      const rows = kind.name === 'embedded' ? [...stockRows, ...embeddedRows] : stockRows;
      it.skipIf(absent).concurrent.each(rows.map(row => [row.name, row] as const))(
        '%s',
        async (_name, row) => {
          const stage = new Stage(server);
          await stage.open(db.address);
          const scene = new Scene(stage, db);
          try {
            expect(await row.play(scene)).toEqual(row.expect(wordsOf(engine.name, differs)));
          } finally {
            scene.close();
            await stage.close();
          }
        },
      );
    },
  );
});
