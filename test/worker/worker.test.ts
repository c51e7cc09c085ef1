import { describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { adapters } from '../../src/pools/load.ts';
import type { PoolAdapter } from '../../src/pools/pool.ts';
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
  app: {} as OpenMessage['app'],
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
});
