import pg from 'pg';
import { rowValues, statements } from '../src/worker/sql.ts';

/** What a bare pg.Pool does with the same two-row transaction: the other side of the throughput ratio. */
export interface BareLoop {
  config: pg.PoolConfig;
  tables: { writes: string; keys: string };
  inFlight: number;
  forMs: number;
}

async function main({ config, tables, inFlight, forMs }: BareLoop): Promise<void> {
  const pool = new pg.Pool({ ...config, max: 10 });
  const { insertRow } = statements('postgres', tables);
  const end = process.hrtime.bigint() + BigInt(forMs) * 1_000_000n;
  let seq = 0;
  const started = process.hrtime.bigint();
  const one = async () => {
    while (process.hrtime.bigint() < end) {
      const submit = { k: 'submit', id: 0, session: 0, seq: seq++, rows: 2, valid: true } as const;
      const client = await pool.connect();
      await client.query('BEGIN');
      for (const row of [0, 1]) await client.query(insertRow, rowValues('bare', submit, 0, row));
      await client.query('COMMIT');
      client.release();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  await pool.end();
  process.stdout.write(JSON.stringify({ perSecond: seq / seconds, submits: seq }));
}

void main(JSON.parse(process.env.POOLSOAK_BENCH ?? '{}'));
