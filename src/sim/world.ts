import type { Clock } from '../clock.ts';
import { UsageError } from '../failure.ts';
import type { Plan } from '../plan.ts';
import { type Random, sha256 } from '../random.ts';
import type { Address } from '../world/connection.ts';
import { appUser, database, superuser } from '../world/postgres.ts';
import type { SideDoor, World, WorldEvents } from '../world/world.ts';
import { Actor, type VirtualLoop } from './loop.ts';
import { network as networkModel, postgres as postgresModel } from './model.ts';
import type { PathKill } from './net/contract.ts';
import { Network } from './net/network.ts';
import { SimPostgres } from './postgres/server.ts';
import { probeServer } from './probe.ts';

export interface OpenVirtualWorld {
  appSlots: number;
  /** Settings of the server, by its own names. */
  settings: Record<string, string>;
  events: WorldEvents;
  loop: VirtualLoop;
  clock: Clock;
  network: VirtualNetwork;
  trial: string;
  random: Random;
}

/** The network, and whom it tells what its firewall did: it is there before the world is open. */
export interface VirtualNetwork {
  network: Network;
  /** Set by the world. */
  killed: (kill: PathKill) => void;
}

const host = '127.0.0.1';
/** None that a real server listens at: a socket somebody kept from before shall not reach one. */
const port = 1;

export function virtualNetwork(from: {
  loop: VirtualLoop;
  random: Random;
  path: Plan['path'];
}): VirtualNetwork {
  const { loop, random, path } = from;
  const killed = (kill: PathKill) => made.killed(kill);
  const network = new Network({ loop, random, model: networkModel, kind: path, killed });
  const made: VirtualNetwork = { network, killed: () => {} };
  return made;
}

/** A simulated PostgreSQL behind a simulated proxy. It has no process, port or folder of the real machine. */
export async function openVirtualWorld(options: OpenVirtualWorld): Promise<World> {
  const { loop, clock, events, trial } = options;
  const { network } = options.network;
  options.network.killed = ({ toxic, link, clientPort, atMs, how, idleMs }) =>
    events.kill({ toxic, link, clientPort, at: atMs, how, idleMs });
  const passwords = { app: secret(trial, 'app'), superuser: secret(trial, 'superuser') };
  const server = simulatedServer(options, passwords);
  const rooted = rootedIn(loop);
  await rooted(server.start());
  const account = { host, port, database };
  const admin: Address = { ...account, user: superuser, password: passwords.superuser };
  return {
    engine: 'postgres',
    host: 'virtual',
    serverVersion: '18 (simulated)',
    endpoint: { engine: 'postgres', ...account, user: appUser, password: passwords.app },
    server: {
      stop: how => rooted(server.stop(how)),
      start: () => rooted(server.start()),
      signal: signal => {
        if (signal === 'SIGSTOP') server.pause();
        else if (signal === 'SIGCONT') server.resume();
        else if (signal === 'SIGKILL') void server.stop('kill');
        else throw new Error(`the simulated server takes SIGSTOP, SIGCONT and SIGKILL, not ${signal}`);
      },
    },
    proxy: {
      addToxic: async (name, type, attributes, stream = 'downstream') =>
        network.addToxic(name, type, attributes, stream),
      removeToxic: async name => network.removeToxic(name),
      cut: async () => network.cut(),
    },
    firewall: { drop: () => Promise.reject(new Error('a virtual world has no kernel to lose packets')) },
    sideDoor: sideDoorTo(server, rooted),
    probeOutage: timeoutMs => probeServer(network, clock, admin, timeoutMs),
    // Nothing of ours can be slow in here, so there is nothing to probe for.
    probeMachine: () => Promise.reject(new Error('a virtual world has no machine to probe')),
    provides: new Set(['stop-server', 'latency', 'idle-kill', 'idle-reset']),
    // They open nothing; looking for them in every line would cost more than writing it.
    secrets: [],
    close: async () => network.cut(),
  };
}

/** Guessable, since it must be the same for the same trial; it opens nothing that is real. */
const secret = (trial: string, whose: string): string =>
  sha256(`password of ${whose} in ${trial}`).slice(0, 32);

function simulatedServer(
  { loop, network, random, events, appSlots, settings }: OpenVirtualWorld,
  passwords: { app: string; superuser: string },
): SimPostgres {
  const actor = new Actor('server', error => loop.root.crashed(error));
  return new SimPostgres({
    loop,
    actor,
    random,
    model: postgresModel,
    listen: accept => network.network.listen(port, accept),
    // The simulated server counts in the two that the harness has on a real one; nobody takes them here.
    appSlots: appSlots - 2,
    settings,
    users: [
      { name: superuser, password: passwords.superuser, superuser: true },
      { name: appUser, password: passwords.app, superuser: false },
    ],
    serverLog: line => line.user !== superuser && events.serverLog(line),
    unknownSql: text =>
      events.failed(
        new UsageError(
          `the simulated PostgreSQL does not know this statement: ${text}\nrun without --virtual, where a real server answers it`,
        ),
      ),
  });
}

/** What the server resolves is heard by the harness, in a step of its own. */
const rootedIn =
  (loop: VirtualLoop) =>
  <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const later =
        <A>(act: (argument: A) => void) =>
        (argument: A) =>
          void loop.schedule(loop.nowMs, loop.root, act, argument);
      work.then(later(resolve), later(reject));
    });

const away = (server: SimPostgres): void => {
  if (!server.running()) throw Object.assign(new Error('the server is away'), { code: 'ECONNREFUSED' });
};

/** Past network and protocol: the harness looks straight into the server. */
function sideDoorTo(server: SimPostgres, rooted: <T>(work: Promise<T>) => Promise<T>): SideDoor {
  const ask = async <T>(answer: () => T): Promise<T> => {
    away(server);
    return answer();
  };
  return {
    createTables: trial => ask(() => server.createTables(trial)),
    sessions: () => ask(() => server.sessions(appUser)),
    endAppSessions: async () => {
      away(server);
      return rooted(server.endSessions(appUser));
    },
    preparedTransactions: () => ask(() => server.preparedTransactions()),
    readRows: (trial, each) => ask(() => server.readRows(trial, each)),
    countRows: trial => ask(() => server.countRows(trial)),
  };
}
