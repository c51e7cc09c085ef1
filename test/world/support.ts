import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { realClock, waitUntil } from '../../src/clock.ts';
import { type Guardian, openGuardian } from '../../src/guardian/guardian.ts';
import type { Endpoint } from '../../src/pools/pool.ts';
import { type OpenWorld, openWorld } from '../../src/world/open.ts';
import type { LinkKill, ServerLogLine, World } from '../../src/world/world.ts';

export interface Heard {
  log: ServerLogLine[];
  kills: LinkKill[];
  lost: { part: string; detail: string }[];
}

export interface TestWorld {
  world: World;
  guardian: Guardian;
  heard: Heard;
  /** The runs' temp folder. */
  tmp: string;
  close(): Promise<void>;
}

export async function withGuardian(): Promise<{ guardian: Guardian; tmp: string; close(): Promise<void> }> {
  const tmp = mkdtempSync(join(tmpdir(), 'poolsoak-test-'));
  chmodSync(tmp, 0o711);
  const guardian = await openGuardian({ clock: realClock, tmpDir: tmp });
  const close = async (): Promise<void> => {
    await guardian.close();
    rmSync(tmp, { recursive: true });
  };
  return { guardian, tmp, close };
}

export function listen(): { heard: Heard; events: OpenWorld['events'] } {
  const heard: Heard = { log: [], kills: [], lost: [] };
  const events = {
    serverLog: (line: ServerLogLine) => void heard.log.push(line),
    kill: (kill: LinkKill) => void heard.kills.push(kill),
    lost: (part: string, detail: string) => void heard.lost.push({ part, detail }),
    failed: (error: Error) => {
      throw error;
    },
  };
  return { heard, events };
}

export const trial = 'abcdef012345';

export async function openTestWorld(more: Partial<OpenWorld> = {}): Promise<TestWorld> {
  const { guardian, tmp, close } = await withGuardian();
  const { heard, events } = listen();
  const options = { appSlots: 4, settings: {}, trial, seed: 1, clock: realClock, guardian, events, ...more };
  try {
    const world = await openWorld(options);
    // The harness's own connections take their slots.
    await world.probeMachine(2_000);
    const closeAll = () => world.close().finally(close);
    return { world, guardian, heard, tmp, close: closeAll };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function appClient(endpoint: Endpoint, more: Partial<pg.ClientConfig> = {}): Promise<pg.Client> {
  const { host, port, user, password, database } = endpoint;
  const client = new pg.Client({ host, port, user, password, database, ssl: false, ...more });
  client.on('error', () => {});
  await client.connect();
  return client;
}

export async function eventually(
  met: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 5_000,
): Promise<void> {
  const waited = await waitUntil(realClock, met, { everyMs: 10, limitMs });
  if (waited !== 'met') throw new Error(`not within ${limitMs} ms: ${what}`);
}

export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    error => (error as { code?: string; message: string }).code ?? (error as Error).message,
  );
