import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import type { Clock } from '../../../src/clock.ts';
import { realClock, waitUntil } from '../../../src/clock.ts';
import { seeded } from '../../../src/random.ts';
import { Actor, type Drive, VirtualLoop } from '../../../src/sim/loop.ts';
import * as model from '../../../src/sim/model.ts';
import { Network } from '../../../src/sim/net/network.ts';
import { VirtualSocket } from '../../../src/sim/net/socket.ts';
import { SimPostgres, type SimPostgresOptions } from '../../../src/sim/postgres/server.ts';
import type { ServerLogLine, SessionCounts, StopHow, StoredRow } from '../../../src/world/world.ts';
import { openTestWorld, trial } from '../../world/support.ts';
import { Witness } from './witness.ts';

export { trial };

/** A PostgreSQL, real or simulated, as the tests see it. */
export interface Server {
  clock: Clock;
  tables: { writes: string; keys: string };
  log: ServerLogLine[];
  /** Of the user postgres. */
  superPassword: string;
  /** Runs a test in this server's time. */
  run<T>(test: () => Promise<T>): Promise<T>;
  witness(more?: pg.ClientConfig): Promise<Witness>;
  stop(how: StopHow): Promise<void>;
  start(): Promise<void>;
  sessions(): Promise<SessionCounts>;
  endSessions(): Promise<number>;
  rows(): Promise<StoredRow[]>;
  close(): Promise<void>;
}

export const appSlots = 4;
const superuser = { name: 'postgres', password: 'super secret', superuser: true };
export const app = { name: 'poolsoak_app', password: 'app secret', superuser: false };
const port = 5432;

export interface Simulated extends Server {
  loop: VirtualLoop;
  sim: SimPostgres;
  network: Network;
  unknown: string[];
  socket(): Duplex;
}

export function simulate(
  more: Partial<SimPostgresOptions> = {},
  seed = 1,
  drive: Drive = 'burst',
): Simulated {
  const loop = new VirtualLoop({ drive });
  const actor = new Actor('server', error => loop.root.crashed(error));
  const network = new Network({
    loop,
    model: model.network,
    random: seeded(seed, 'net'),
    kind: 'packet',
    killed: () => {},
  });
  const [log, unknown]: [ServerLogLine[], string[]] = [[], []];
  const sim = new SimPostgres({
    loop,
    actor,
    model: model.postgres,
    random: seeded(seed, 'server'),
    listen: accept => network.listen(port, accept),
    appSlots,
    settings: {},
    users: [superuser, app],
    serverLog: line => void log.push(line),
    unknownSql: text => void unknown.push(text),
    ...more,
  });
  const clock = loop.clockOf(loop.root);
  const socket = (): Duplex => {
    loop.actor = loop.root;
    return new VirtualSocket(network);
  };
  const address = { host: '127.0.0.1', port, user: app.name, password: app.password, database: 'poolsoak' };
  return {
    loop,
    sim,
    network,
    unknown,
    socket,
    clock,
    log,
    superPassword: superuser.password,
    tables: sim.createTables(trial),
    run: test => loop.run(test),
    witness: config => Witness.open({ ...address, stream: socket as never, ...config }, clock),
    stop: how => sim.stop(how),
    start: () => sim.start(),
    sessions: async () => {
      const { sessionsMax: _most, ...counts } = sim.sessions(app.name);
      return counts;
    },
    endSessions: () => sim.endSessions(app.name),
    rows: async () => {
      const rows: StoredRow[] = [];
      sim.readRows(trial, row => rows.push(row));
      return rows;
    },
    close: async () => {},
  };
}

export async function openSimulated(): Promise<Server> {
  const server = simulate();
  await server.run(async () => {
    await server.start();
    // The harness's own two.
    for (let n = 0; n < 2; n += 1)
      await server.witness({ user: superuser.name, password: superuser.password });
  });
  return server;
}

/** The embedded one, without the proxy in between. */
export async function openReal(): Promise<Server> {
  const it = await openTestWorld({ appSlots });
  const { world, heard } = it;
  const { host, user, password, database } = world.endpoint;
  const through = await Witness.open({ ...world.endpoint, engine: undefined } as never, realClock);
  const [found] = (await through.client.query('SELECT inet_server_port() AS port')).rows;
  await through.client.end();
  const address = { host, port: found.port as number, user, password, database };
  const tables = await world.sideDoor.createTables(trial);
  const stream = (): Duplex => new Socket();
  return {
    clock: realClock,
    tables,
    log: heard.log,
    superPassword: world.secrets[1]!,
    run: test => test(),
    witness: config => Witness.open({ ...address, stream: stream as never, ...config }, realClock),
    stop: how => world.server.stop(how),
    start: async () => {
      await world.server.start();
      await waitUntil(realClock, async () => (await world.probeMachine(1_000)).works, {
        everyMs: 20,
        limitMs: 5_000,
      });
    },
    sessions: () => world.sideDoor.sessions(),
    endSessions: () => world.sideDoor.endAppSessions(),
    rows: async () => {
      const rows: StoredRow[] = [];
      await world.sideDoor.readRows(trial, row => rows.push(row));
      return rows;
    },
    close: () => it.close(),
  };
}
