import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleepMs } from 'node:timers/promises';
import pg from 'pg';
import { superuser } from '../src/world/postgres.ts';
import { median, say } from './figures.ts';
import { embedded, type Proxied, stock } from './proxies.ts';
import { type Bench, withBench } from './world.ts';

const rounds = 7;
const roundSeconds = 3;
/** Transactions per second of the embedded proxy / of Toxiproxy. */
const bars = [
  { clients: 1, ratio: 1.1 },
  { clients: 8, ratio: 1 },
  { clients: 64, ratio: 1 },
];
const idleConnections = 1000;
const idleMbMax = 60;
const streamBytes = 1e9;
const streamRssMbMax = 120;

/** The embedded proxy, as worlds use it, beside a real Toxiproxy and beside none. */
export async function proxy(): Promise<boolean> {
  const results = [await pgbench(), await idle(), await slowReader()];
  return results.every(met => met);
}

async function pgbench(): Promise<boolean> {
  const missing = ['pgbench', 'toxiproxy-server'].filter(
    program => spawnSync(program, ['--version']).error !== undefined,
  );
  if (missing.length > 0) {
    say(`proxy: not measured, ${missing.join(' and ')} not on PATH`);
    return false;
  }
  let met = true;
  await withBench(async bench => {
    const direct = await directOf(bench);
    run(direct, ['-i', '-q', '-s', '10']);
    const [own, real] = [await embedded(direct.port), await stock(direct.port)];
    try {
      await own.add('idle_timeout', { timeout: 350_000 });
      for (const bar of bars) met = compare(bar, { embedded: own.port, toxiproxy: real.port }, direct) && met;
    } finally {
      await Promise.all([own.close(), real.close()]);
    }
  }, 90);
  return met;
}

interface Direct {
  port: number;
  password: string;
  database: string;
}

/** Past the proxy of the world, as its owner: pgbench makes tables. */
async function directOf({ world }: Bench): Promise<Direct> {
  const { engine: _engine, ...config } = world.endpoint;
  const client = new pg.Client(config);
  await client.connect();
  const { rows } = await client.query('SHOW port');
  await client.end();
  return { port: Number(rows[0].port), password: world.secrets[1]!, database: config.database };
}

function run({ port, password, database }: Direct, args: string[]): string {
  const where = ['-h', '127.0.0.1', '-p', String(port), '-U', superuser];
  const env = { ...process.env, PGPASSWORD: password };
  const { status, stdout, stderr } = spawnSync('pgbench', [...where, ...args, database], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`pgbench: ${stderr}`);
  return stdout;
}

const paths = ['embedded', 'toxiproxy', 'direct'] as const;

function compare(
  { clients, ratio }: (typeof bars)[0],
  ports: { embedded: number; toxiproxy: number },
  direct: Direct,
): boolean {
  const seen = { embedded: [] as number[], toxiproxy: [] as number[], direct: [] as number[] };
  const args = ['-S', '-n', '-c', String(clients), '-j', '1', '-T', String(roundSeconds)];
  for (let round = 0; round < rounds; round += 1)
    for (const path of paths) {
      const port = path === 'direct' ? direct.port : ports[path];
      const [, tps] = /tps = ([\d.]+)/.exec(run({ ...direct, port }, args)) ?? [];
      seen[path].push(Number(tps));
    }
  const [own, real, none] = [median(seen.embedded), median(seen.toxiproxy), median(seen.direct)];
  say(
    `proxy: pgbench -S -c ${clients}: embedded (idle_timeout on it) ${own.toFixed(0)} tps, Toxiproxy ${real.toFixed(0)}, ` +
      `direct ${none.toFixed(0)}: ${(own / real).toFixed(2)} of Toxiproxy (limit ${ratio}), ` +
      `${(own / none).toFixed(2)} of direct (medians of ${rounds})`,
  );
  return own / real >= ratio;
}

/** A server that keeps what connects; `each` does the talking. */
async function listening(each: (socket: Socket) => void): Promise<Server> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    each(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function behind(each: (socket: Socket) => void, act: (proxied: Proxied) => Promise<boolean>) {
  const server = await listening(each);
  const proxied = await embedded((server.address() as AddressInfo).port);
  try {
    return await act(proxied);
  } finally {
    await proxied.close();
    server.close();
  }
}

const dial = async ({ port }: Proxied): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  await once(socket, 'data');
  return socket;
};

function idle(): Promise<boolean> {
  const greet = (socket: Socket) => void socket.write('hello');
  return behind(greet, async proxied => {
    await proxied.add('idle_timeout', { timeout: 350_000 });
    (await dial(proxied)).destroy();
    const before = proxied.rss().bytes;
    const sockets = [];
    for (let n = 0; n < idleConnections; n += 1) sockets.push(await dial(proxied));
    const megabytes = (proxied.rss().bytes - before) / 1e6;
    for (const socket of sockets) socket.destroy();
    say(
      `proxy: ${idleConnections} idle connections: ${megabytes.toFixed(1)} MB over none (limit ${idleMbMax})`,
    );
    return megabytes < idleMbMax;
  });
}

const chunk = Buffer.alloc(64 * 1024, 'x');

function* stream(): Generator<Buffer> {
  for (let sent = 0; sent < streamBytes; sent += chunk.length) yield chunk;
}

/** As fast as it is taken. */
const pour = (socket: Socket): Promise<void> => pipeline(Readable.from(stream()), socket).catch(() => {});

function slowReader(): Promise<boolean> {
  return behind(
    socket => void pour(socket),
    async proxied => {
      await proxied.add('bandwidth', { rate: 200_000 });
      const socket = connect(proxied.port, '127.0.0.1');
      let bytes = 0;
      for await (const data of socket) {
        bytes += data.length;
        // A reader slower than the toxic lets it through.
        if (bytes % (16 * 1024 * 1024) < data.length) await sleepMs(150);
      }
      const megabytes = proxied.rss().peakBytes / 1e6;
      say(
        `proxy: ${(bytes / 1e9).toFixed(2)} GB through bandwidth to a slow reader: RSS at most ${megabytes.toFixed(0)} MB (limit ${streamRssMbMax})`,
      );
      return bytes >= streamBytes && megabytes < streamRssMbMax;
    },
  );
}
