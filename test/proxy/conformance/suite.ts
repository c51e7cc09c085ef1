import { afterAll, beforeAll, describe, it } from 'vitest';
import type { DifferenceName } from './differences.ts';
import { type RunningServer, servers, startServer, titleOf } from './servers.ts';
import { Stage } from './stage.ts';

/** `differs(name, toxiproxys, ours)`: what the server of this test does. */
export type Differs = <T>(because: DifferenceName, toxiproxys: T, ours: T) => T;

export type Play = (name: string, play: (stage: Stage, differs: Differs) => Promise<void>) => void;

/** The plays over both servers, all at once: each has a proxy of its own. */
export function onBoth(define: (play: Play) => void, args: string[] = []): void {
  describe.each(servers.map(kind => [titleOf(kind), kind] as const))('%s', (_title, kind) => {
    let server: RunningServer;
    beforeAll(async () => {
      if (!kind.absent) server = await startServer(kind, args);
    });
    afterAll(() => server?.close());
    const differs: Differs = (_because, toxiproxys, ours) => (kind.name === 'embedded' ? ours : toxiproxys);
    const test = it.skipIf(kind.absent).concurrent;
    define((name, play) =>
      test(name, async () => {
        const stage = new Stage(server);
        await stage.open();
        try {
          await play(stage, differs);
        } finally {
          await stage.close();
        }
      }));
  });
}
