import pg from 'pg';
import { realClock } from '../src/clock.ts';
import type { World } from '../src/world/world.ts';
import { say } from './figures.ts';
import { withBench } from './world.ts';

const connects = 60;
const rounds = 400;
const restarts = 4;

/** What a real server costs here, in ms: the source of the virtual world's `src/sim/model.ts`. No ratio, so no limit. */
export async function costs(): Promise<boolean> {
  await withBench(async ({ world }) => {
    say('costs in ms: 10th percentile, median, 90th');
    const { engine: _engine, ...config } = world.endpoint;
    const connect = await timed(connects, async () => {
      const client = new pg.Client(config);
      await client.connect();
      return () => client.end();
    });
    say(`  connect ${spread(connect)}`);
    await statements(world, config);
    for (const how of ['fast', 'immediate', 'kill'] as const) await restart(world, how);
  });
  return true;
}

/** `act` is timed, what it returns (cleaning up) is not. */
async function timed(times: number, act: () => Promise<(() => Promise<void>) | void>): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < times; n += 1) {
    const startMs = realClock.nowMs();
    const after = await act();
    took.push(realClock.nowMs() - startMs);
    await after?.();
  }
  return took.slice(times / 6);
}

const spread = (values: number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.1, 0.5, 0.9].map(at => sorted[Math.floor(at * (sorted.length - 1))]!.toFixed(2)).join('  ');
};

async function statements(world: World, config: pg.ClientConfig): Promise<void> {
  const { writes } = await world.sideDoor.createTables('costs');
  const client = new pg.Client(config);
  await client.connect();
  const columns = '"trial","session","seq","attempt","row","of","payload_sha","valid"';
  const insert = `INSERT INTO "${writes}" (${columns}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`;
  const row = ['costs', 1, 1, 0, 0, 1, 'a'.repeat(64), true];
  const took: Record<string, number[]> = { 'SELECT 1': [], BEGIN: [], INSERT: [], COMMIT: [] };
  for (let round = 0; round < rounds; round += 1)
    for (const name of Object.keys(took)) {
      const ask = () => client.query(name === 'INSERT' ? insert : name, name === 'INSERT' ? row : []);
      took[name]!.push(...(await timed(1, async () => void (await ask()))));
    }
  for (const [name, values] of Object.entries(took)) say(`  ${name} ${spread(values)}`);
  await client.end();
}

async function restart({ server }: World, how: 'fast' | 'immediate' | 'kill'): Promise<void> {
  const [stop, start]: [number[], number[]] = [[], []];
  for (let n = 0; n < restarts; n += 1) {
    stop.push(...(await timed(1, () => server.stop(how))));
    start.push(...(await timed(1, () => server.start())));
  }
  say(`  ${how}: stop ${spread(stop)}, start ${spread(start)}`);
}
