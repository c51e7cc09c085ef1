import { rm } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { Guardian } from '../guardian/guardian.ts';
import { releaseSharedMemory } from '../guardian/shared-memory.ts';
import { unguessable } from '../random.ts';
import { type Cluster, makeCluster } from './cluster.ts';
import { type Address, type Connection, connect } from './connection.ts';
import { type EmbeddedServer, embeddedServer, PortTakenError } from './embedded.ts';
import { openFirewall, packetLossLack } from './firewall.ts';
import { keep } from './kept.ts';
import { freePort } from './port.ts';
import { appUser, createAppDatabase, database, serverVersion, sideDoorOf, superuser } from './postgres.ts';
import { probeMachine, probeOutage } from './probe.ts';
import { openProxy } from './proxies/open.ts';
import type { FaultProxy, ProxyChoice } from './proxies/proxy.ts';
import { openUndo, type Undo } from './undo.ts';
import type { Need, World, WorldEvents } from './world.ts';

export interface OpenWorld {
  /** Connections the application can have. */
  appSlots: number;
  /** Settings of the server, by its own names. */
  settings: Record<string, string>;
  trial: string;
  seed: number;
  clock: Clock;
  guardian: Guardian;
  events: WorldEvents;
  /** PostgreSQL's programs, when they are not npm's: a folder with bin/ and lib/. */
  native?: string;
  /** embedded unless said. */
  proxy?: ProxyChoice;
  /** What the trial's faults will ask of it: some of it must be prepared. */
  needs?: readonly Need[];
  /** Ends the opening; a world that is open is closed by `close`. */
  signal?: AbortSignal;
}

const host = '127.0.0.1';
const portTries = 5;
const connectLimitMs = 2_000;
const folderRetries = 5;

/**
 * Nothing is told once the world is being closed: its parts then end because they are asked to. What the
 * server says of the harness's own connections is no fact about the application.
 */
function onlyWhatMatters(events: WorldEvents): { events: WorldEvents; close(): void } {
  let open = true;
  return {
    events: {
      serverLog: line => open && line.user !== superuser && events.serverLog(line),
      kill: kill => open && events.kill(kill),
      lost: (part, detail) => open && events.lost(part, detail),
      failed: events.failed,
    },
    close: () => {
      open = false;
    },
  };
}

interface Started {
  server: EmbeddedServer;
  port: number;
  version: string;
}

/** Starts the server for the first time and makes the app's database, on whatever port is free. */
async function startServer(
  cluster: Cluster,
  passwords: { app: string; superuser: string },
  { clock, events, signal }: OpenWorld,
  undo: Undo,
): Promise<Started> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    const port = await freePort();
    const { serverLog } = events;
    const server = embeddedServer({
      clock,
      cluster,
      port,
      serverLog,
      lost: detail => events.lost('server', detail),
    });
    const address = { host, port, user: superuser, password: passwords.superuser, database: 'postgres' };
    let first: Connection | undefined;
    try {
      await server.start(async () => {
        first = await connect(clock, address, connectLimitMs);
      });
      undo.add('server', () => endServer(server));
      await createAppDatabase(first!, passwords.app);
      return { server, port, version: await serverVersion(first!) };
    } catch (error) {
      if (!(error instanceof PortTakenError) || tries === portTries) throw error;
    } finally {
      await first?.end();
    }
  }
}

/** No fault but the end of the world: what it would write now nobody reads. */
async function endServer(server: EmbeddedServer): Promise<void> {
  if (server.running()) await server.stop('immediate').catch(() => server.stop('kill'));
}

function proxyTo(upstreamPort: number, options: OpenWorld): Promise<FaultProxy> {
  const { events, proxy = { kind: 'embedded' }, needs = [] } = options;
  const lost = (detail: string): void => events.lost('proxy', detail);
  return openProxy(proxy, { ...options, upstreamPort, needs: new Set(needs), kill: events.kill, lost });
}

async function open(options: OpenWorld, undo: Undo): Promise<World> {
  const { clock, guardian, signal } = options;
  const passwords = { app: unguessable(16), superuser: unguessable(16) };
  const name = `${options.trial}-${unguessable(3)}`;
  const { cluster, home } = await makeCluster({ ...options, name, password: passwords.superuser });
  undo.add('data folder', () => {
    releaseSharedMemory(cluster.data);
    return rm(home, { recursive: true, force: true, maxRetries: folderRetries });
  });
  const { server, port, version } = await startServer(cluster, passwords, options, undo);
  const direct: Address = { host, port, user: superuser, password: passwords.superuser, database };
  const side = keep(clock, direct);
  undo.add('side door', side.close);
  signal?.throwIfAborted();
  const proxy = await proxyTo(port, options);
  undo.add('fault proxy', proxy.close);
  const firewall = openFirewall({ clock, guardian, port: proxy.port });
  undo.add('firewall', firewall.close);
  const through = { ...direct, port: proxy.port };
  const machine = keep(clock, through);
  undo.add('machine probe', machine.close);

  // Both take their slots now and after each start: the app shall find neither more nor fewer than its own.
  const takeSlots = async (): Promise<void> => {
    await side.use({ connectLimitMs, once: true }, connection => connection.query('SELECT 1'));
    await proxy.serverBack?.();
    void probeMachine(clock, machine, connectLimitMs);
  };
  await takeSlots();
  return {
    engine: 'postgres',
    host: 'embedded',
    serverVersion: version,
    ...(proxy.version ? { proxyVersion: proxy.version } : {}),
    endpoint: {
      engine: 'postgres',
      host,
      port: proxy.port,
      user: appUser,
      password: passwords.app,
      database,
    },
    server: {
      ...server,
      stop: async how => {
        await server.stop(how);
        await proxy.serverGone?.();
      },
      start: () => server.start(takeSlots),
    },
    proxy: proxy.control,
    firewall,
    sideDoor: sideDoorOf(side, clock),
    probeOutage: timeoutMs => probeOutage(clock, through, timeoutMs),
    probeMachine: timeoutMs => probeMachine(clock, machine, timeoutMs),
    provides: new Set([
      ...proxy.provides,
      'stop-server',
      ...(packetLossLack() ? [] : (['packet-loss'] as const)),
    ]),
    secrets: [passwords.app, passwords.superuser],
    close: () => undo.run(),
  };
}

/** A PostgreSQL of our own behind the fault proxy. When opening fails, what was open already is closed. */
export async function openWorld(options: OpenWorld): Promise<World> {
  const undo = openUndo();
  const muted = onlyWhatMatters(options.events);
  void options.guardian.lost.then(detail => muted.events.lost('guardian', detail));
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    muted.close();
    closed ??= undo.run();
    return closed;
  };
  try {
    return { ...(await open({ ...options, events: muted.events }, undo)), close };
  } catch (error) {
    // The first failure is the one to tell; what could not be closed the guardian ends.
    await close().catch(() => {});
    throw error;
  }
}
