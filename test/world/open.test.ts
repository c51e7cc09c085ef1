import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { processTable } from '../../src/guardian/processes.ts';
import { canReach, serverAccount } from '../../src/world/account.ts';
import { makeCluster } from '../../src/world/cluster.ts';
import { embeddedServer, PortTakenError } from '../../src/world/embedded.ts';
import { packetLossLack } from '../../src/world/firewall.ts';
import { findNative } from '../../src/world/native.ts';
import { openWorld } from '../../src/world/open.ts';
import { processesOf } from '../guardian/support.ts';
import { eventually, listen, openTestWorld, trial, withGuardian } from './support.ts';

const slow = { timeout: 30_000 };
const options = { appSlots: 4, settings: {}, trial, seed: 1, clock: realClock };
const isRoot = process.getuid?.() === 0;

const named = (cookie: string, name: string) => {
  const own = new Set(processesOf(cookie).map(({ pid }) => pid));
  return [...processTable().values()].filter(fact => own.has(fact.pid) && fact.name === name);
};
const postmaster = (cookie: string) => {
  const servers = named(cookie, 'postgres');
  return servers.find(fact => !servers.some(other => other.pid === fact.ppid))!;
};

/** System V shared memory made by this process. */
const segmentsOf = (pid: number): number =>
  readFileSync('/proc/sysvipc/shm', 'latin1')
    .split('\n')
    .filter(line => Number(line.trim().split(/\s+/)[4]) === pid).length;

describe('closing a world', () => {
  test('leaves no process and no folder but the guardian and its own', slow, async () => {
    const { guardian, close } = await withGuardian();
    const { events, heard } = listen();
    const world = await openWorld({ ...options, guardian, events });
    expect(processesOf(guardian.cookie).length).toBeGreaterThan(3);
    await Promise.all([world.close(), world.close()]);
    expect(processesOf(guardian.cookie)).toHaveLength(1);
    expect(readdirSync(guardian.folder).filter(name => name.startsWith(trial))).toEqual([]);
    expect(heard.lost).toEqual([]);
    await close();
  });

  test('works with the server killed and the proxy stopped', slow, async () => {
    const it = await openTestWorld();
    const { pid } = postmaster(it.guardian.cookie);
    expect(segmentsOf(pid)).toBe(1);
    await it.world.server.stop('kill');
    const [proxy] = named(it.guardian.cookie, 'node')
      .filter(fact => fact.ppid === process.pid)
      .slice(-1);
    process.kill(proxy!.pid, 'SIGSTOP');
    await it.close();
    expect(processesOf(it.guardian.cookie)).toEqual([]);
    expect(segmentsOf(pid)).toBe(0);
  });
});

describe('a world tells of what it lost', () => {
  test('its server', slow, async () => {
    const it = await openTestWorld();
    process.kill(postmaster(it.guardian.cookie).pid, 'SIGKILL');
    await eventually(() => it.heard.lost.length > 0, 'the loss is told');
    expect(it.heard.lost).toEqual([
      { part: 'server', detail: expect.stringMatching(/^PostgreSQL ended unasked \(SIGKILL\): /) },
    ]);
    await it.close();
  });

  test('its guardian and its proxy', slow, async () => {
    const it = await openTestWorld();
    const nodes = named(it.guardian.cookie, 'node').sort((a, b) => a.pid - b.pid);
    expect(nodes).toHaveLength(2);
    for (const node of nodes) process.kill(node.pid, 'SIGKILL');
    await eventually(() => it.heard.lost.length === 2, 'both losses are told');
    expect(it.heard.lost.map(({ part }) => part).sort()).toEqual(['guardian', 'proxy']);
    await it.close();
    expect(existsSync(it.guardian.folder)).toBe(false);
  });
});

describe('opening a world that cannot be', () => {
  const refused = async (more: object): Promise<string> => {
    const { guardian, close } = await withGuardian();
    const { events, heard } = listen();
    const opening = openWorld({ ...options, guardian, events, ...more });
    const message = await opening.then(
      () => 'it opened',
      error => String(error),
    );
    expect(processesOf(guardian.cookie)).toHaveLength(1);
    expect(readdirSync(guardian.folder).filter(name => name.startsWith(trial))).toEqual([]);
    expect(heard.lost).toEqual([]);
    await close();
    return message;
  };

  test('says which setting the server does not know', slow, async () => {
    const message = await refused({ settings: { no_such_setting: '1' } });
    expect(message).toContain('PostgreSQL did not start (exit code 1)');
    expect(message).toContain('unrecognized configuration parameter "no_such_setting"');
  });

  test('refuses settings that are not the scenario’s to set, and more than one line', slow, async () => {
    expect(await refused({ settings: { max_connections: '5' } })).toContain(
      "server.settings.max_connections: is poolsoak's own to set",
    );
    expect(await refused({ settings: { jit: "off\nport = '1'" } })).toContain(
      'is no PostgreSQL setting on one line',
    );
  });

  test('leaves no listener on the signal of the run, which outlives it', slow, async () => {
    const { signal } = new AbortController();
    const it = await openTestWorld({ signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await it.close();
  });

  test('stops when it is aborted', slow, async () => {
    for (const ms of [0, 200]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error('enough')), ms);
      expect(await refused({ signal: stop.signal })).toContain('enough');
    }
  });
});

test('a port that is taken is told as that', slow, async () => {
  const { guardian, close } = await withGuardian();
  const squatter = createServer();
  await new Promise<void>(resolve => squatter.listen(0, '127.0.0.1', resolve));
  const { port } = squatter.address() as { port: number };
  const { cluster } = await makeCluster({ ...options, guardian, name: 'taken', password: 'x' });
  const { events, heard } = listen();
  const { serverLog } = events;
  const server = embeddedServer({
    clock: realClock,
    cluster,
    port,
    serverLog,
    lost: detail => events.lost('server', detail),
  });
  const started = server.start(() => Promise.reject(new Error('not yet')));
  await expect(started).rejects.toThrow(PortTakenError);
  await expect(started).rejects.toThrow(/Address already in use/);
  expect(heard.lost).toEqual([]);
  squatter.close();
  await close();
});

test('settings of the scenario reach the server', slow, async () => {
  const it = await openTestWorld({
    settings: { idle_in_transaction_session_timeout: '1234', application_name: "it's" },
  });
  const always = ['stop-server', 'latency', 'idle-kill', 'idle-reset'];
  const here = packetLossLack() === null ? ['packet-loss'] : [];
  expect([...it.world.provides].sort()).toEqual([...always, ...here].sort());
  await it.close();
});

test(
  'PostgreSQL runs from a folder others cannot read, without the links of the install script',
  slow,
  async () => {
    const { guardian, tmp, close } = await withGuardian();
    const closed = join(tmp, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const native = join(closed, 'native');
    cpSync(findNative(), native, { recursive: true, verbatimSymlinks: true });
    const lib = join(native, 'lib');
    for (const entry of readdirSync(lib, { withFileTypes: true }))
      if (entry.isSymbolicLink()) rmSync(join(lib, entry.name));
    chmodSync(join(native, 'bin/postgres'), 0o700);
    const { events } = listen();
    const world = await openWorld({ ...options, guardian, events, native });
    expect(existsSync(join(realpathSync(guardian.folder), 'native/bin/postgres'))).toBe(isRoot);
    expect(await world.sideDoor.sessions()).toMatchObject({ sessions: 0 });
    await world.close();
    await close();
  },
);

test.runIf(isRoot)(
  'a temp folder only root can enter does not keep the server from its data',
  slow,
  async () => {
    const { guardian, tmp, close } = await withGuardian();
    chmodSync(tmp, 0o700);
    const { events } = listen();
    const world = await openWorld({ ...options, guardian, events });
    const elsewhere = `/tmp/poolsoak-${guardian.cookie}`;
    expect(existsSync(elsewhere)).toBe(true);
    await world.close();
    await close();
    expect(existsSync(elsewhere)).toBe(false);
  },
);

const account = isRoot ? serverAccount() : null;
const here = fileURLToPath(new URL('.', import.meta.url));
test.runIf(account && canReach(join(here, 'x'), account))(
  'an ordinary user needs no other user',
  slow,
  async () => {
    const { tmp, close } = await withGuardian();
    const own = join(tmp, 'own');
    mkdirSync(own);
    chmodSync(own, 0o777);
    const script = fileURLToPath(new URL('./fixtures/open-close.mjs', import.meta.url));
    const { uid, gid } = account!;
    const child = spawn(process.execPath, [script, own], {
      uid,
      gid,
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: '/',
    });
    let said = '';
    child.stdout.on('data', chunk => {
      said += chunk;
    });
    const code = await new Promise(resolve => child.on('close', resolve));
    expect([code, said]).toEqual([0, `18.4 as ${account!.name}\n`]);
    expect(readdirSync(join(own, `poolsoak-${uid}`))).toEqual([]);
    await close();
  },
);
