import { describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters } from '../../src/pools/load.ts';
import type { Lease, Pool, PoolAdapter } from '../../src/pools/pool.ts';
import { type FromWorker, type OpenMessage, protocolVersion } from '../../src/worker/protocol.ts';
import { AppWorker } from '../../src/worker/worker.ts';

const open: OpenMessage = {
  k: 'open',
  v: protocolVersion,
  trial: 't',
  worker: 0,
  life: 2,
  endpoint: { engine: 'postgres', host: '127.0.0.1', port: 1, user: 'u', password: 'p', database: 'd' },
  tables: { writes: 'w', keys: 'k' },
  pool: 'x',
  settings: {},
  app: { transaction: 'explicit', retry: null, cancelOnPatienceMs: null } as OpenMessage['app'],
  sampleMs: 1000,
};

/** What a worker says before it ends, and how it ends. */
function opened(message: OpenMessage, adapter: () => Promise<PoolAdapter>): Promise<(FromWorker | string)[]> {
  return new Promise(done => {
    const said: (FromWorker | string)[] = [];
    const worker = new AppWorker({
      clock: realClock,
      channel: { send: each => void said.push(each), flush: () => void said.push('flush') },
      adapter,
      vitals: () => ({ loopDelayP99Ms: null, rssBytes: null, cpuMs: null }),
      beats: false,
      exit: code => done([...said, `exit ${code}`]),
    });
    worker.hear(message);
    if (message.v !== protocolVersion) setImmediate(() => done(said));
  });
}

describe('an app worker', () => {
  it('whose pool cannot be opened says so and ends, to be started again', async () => {
    const broken = {
      ...adapters['null-pool']!,
      open: () => Promise.reject(new Error('the database is down')),
    };
    expect(await opened(open, () => Promise.resolve(broken))).toEqual([
      { k: 'failed', code: 'open', message: 'the database is down' },
      'flush',
      'exit 1',
    ]);
  });

  it('refuses a protocol that it does not speak', async () => {
    const said = await opened({ ...open, v: 99 }, () => Promise.resolve(adapters['null-pool']!));
    expect(said).toEqual([
      {
        k: 'failed',
        code: 'protocol-version',
        message: `this worker speaks protocol ${protocolVersion}, not 99`,
      },
    ]);
  });

  it('about to die, tells of the leases whose submits will never settle', async () => {
    const said: FromWorker[] = [];
    const lease = {
      conn: 7,
      query: () => new Promise<never>(() => {}),
      begin: () => new Promise<never>(() => {}),
      commit: () => new Promise<never>(() => {}),
      rollback: () => new Promise<never>(() => {}),
      release: () => {},
    };
    let free = 1;
    const gauges = () => ({ total: 1, idle: 0, waiting: 0, max: 1 });
    const acquire = (): Promise<Lease> => (free-- > 0 ? Promise.resolve(lease) : new Promise(() => {}));
    const pool: Pool = { acquire, gauges, close: () => Promise.resolve() };
    const worker = new AppWorker({
      clock: realClock,
      channel: { send: each => void said.push(each), flush: () => {} },
      adapter: () => Promise.resolve({ ...adapters['null-pool']!, open: () => pool }),
      vitals: () => ({ loopDelayP99Ms: null, rssBytes: null, cpuMs: null }),
      beats: false,
      exit: () => {},
    });
    worker.hear(open);
    await new Promise(setImmediate);
    const submit = { k: 'submit', session: 0, rows: 2, valid: true } as const;
    worker.hear({ ...submit, id: 1, seq: 0 });
    worker.hear({ ...submit, id: 2, seq: 1 }); // waits for a connection: has no lease
    await new Promise(setImmediate);
    said.length = 0;
    worker.tellLeases();
    expect(said).toEqual([{ k: 'conn', conn: 7, ev: 'borrow', at: expect.any(Number) }]);
    worker.hear({ k: 'close', deadlineMs: 10 });
  });
});
