import pg from 'pg';
import { rowValues, statements } from '../src/worker/sql.ts';

/** What a bare pg.Pool does with the same two-row transaction: the other side of the throughput ratio. */
export interface BareLoop {
  config: pg.PoolConfig;
  tables: { writes: string; keys: string };
  inFlight: number;
  /** Not counted: until the code is warm. */
  warmMs: number;
  forMs: number;
}

async function main({ config, tables, inFlight, warmMs, forMs }: BareLoop): Promise<void> {
  const pool = new pg.Pool({ ...config, max: 10 });
  const { insertRow } = statements('postgres', tables);
  const startMs = performance.now();
  const elapsedMs = () => performance.now() - startMs;
  // As long as a trial's id, so that the rows are of one size.
  const trial = 'bare0bare0ba';
  let done = 0;
  let seq = 0;
  const one = async () => {
    while (elapsedMs() < warmMs + forMs) {
      const submit = { k: 'submit', id: 0, session: 0, seq: seq++, rows: 2, valid: true } as const;
      const client = await pool.connect();
      await client.query('BEGIN');
      for (const row of [0, 1]) await client.query(insertRow, rowValues(trial, submit, 0, row));
      await client.query('COMMIT');
      client.release();
      if (elapsedMs() >= warmMs && elapsedMs() < warmMs + forMs) done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  await pool.end();
  process.stdout.write(JSON.stringify({ perSecond: (done / forMs) * 1000 }));
}

void main(JSON.parse(process.env.POOLSOAK_BENCH ?? '{}'));
