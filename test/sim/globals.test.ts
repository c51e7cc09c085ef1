import { AsyncLocalStorage } from 'node:async_hooks';
import crypto, { randomBytes, webcrypto } from 'node:crypto';
import timers from 'node:timers';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../src/random.ts';
import { epochMs, install } from '../../src/sim/globals.ts';
import { Actor, VirtualLoop } from '../../src/sim/loop.ts';

class NoSocket {}

/** Runs `act` in a virtual world that has time and chance but no network. */
async function inWorld<T>(act: (loop: VirtualLoop) => Promise<T>, seed = 1): Promise<T> {
  const loop = new VirtualLoop();
  const uninstall = install({ loop, random: seeded(seed), Socket: NoSocket, connect: () => null });
  try {
    return await loop.run(() => act(loop));
  } finally {
    uninstall();
  }
}

/** `act` on behalf of an actor of its own; resolves when virtual time has passed it. */
const asActor = (loop: VirtualLoop, actor: Actor, act: () => void) => {
  loop.schedule(loop.nowMs, actor, act, undefined);
  return loop.clockOf(loop.root).sleepMs(100);
};

describe('time', () => {
  it('stands in the globals, in `timers` and in `timers/promises`, under whatever name they were imported', async () => {
    const times = await inWorld(async loop => {
      await new Promise(resolve => setTimeout(resolve, 1000));
      await new Promise(resolve => timers.setTimeout(resolve, 1000));
      await sleepFor(1000);
      await promisify(setTimeout)(1000);
      await new Promise(resolve => setImmediate(resolve));
      return [loop.nowMs, performance.now(), Date.now() - epochMs, new Date(Date.now()).getTime() - epochMs];
    });
    expect(times).toEqual([4000, 4000, 4000, 4000]);
  });

  it('is that of process.hrtime too', async () => {
    const [since, nanos] = await inWorld(async () => {
      const before = process.hrtime();
      await new Promise(resolve => setTimeout(resolve, 1500));
      return [process.hrtime(before), process.hrtime.bigint()];
    });
    expect(since).toEqual([1, 500_000_000]);
    expect(nanos).toBe(1_500_000_000n);
  });

  it('ends an AbortSignal.timeout', async () => {
    const signal = await inWorld(async loop => {
      const made = AbortSignal.timeout(5000);
      await loop.clockOf(loop.root).sleepMs(4999);
      expect(made.aborted).toBe(false);
      await loop.clockOf(loop.root).sleepMs(2);
      return made;
    });
    expect(signal.aborted).toBe(true);
    expect((signal.reason as Error).name).toBe('TimeoutError');
  });

  it('repeats, refreshes and clears timers as node does, by their number as well', async () => {
    const seen: string[] = [];
    await inWorld(async loop => {
      const at = (name: string) => () => void seen.push(`${name}@${loop.nowMs}`);
      const every = setInterval(at('every'), 10);
      const refreshed = setTimeout(at('refreshed'), 15);
      const byNumber = setTimeout(at('never'), 5);
      clearTimeout(Number(byNumber) as never);
      setTimeout(at('at least 1'), 0);
      setTimeout(at('whole ms'), 2.9);
      await loop.clockOf(loop.root).sleepMs(12);
      refreshed.refresh();
      await loop.clockOf(loop.root).sleepMs(20);
      clearInterval(every);
      await loop.clockOf(loop.root).sleepMs(50);
    });
    expect(seen).toEqual(['at least 1@1', 'whole ms@2', 'every@10', 'every@20', 'refreshed@27', 'every@30']);
  });

  it('is given back afterwards', async () => {
    const before = [setTimeout, Date, Math.random, crypto.randomBytes, process.hrtime, randomBytes];
    await inWorld(async () => {
      expect(setTimeout).not.toBe(before[0]);
      expect(randomBytes).not.toBe(before[5]);
    });
    expect([setTimeout, Date, Math.random, crypto.randomBytes, process.hrtime, randomBytes]).toEqual(before);
    expect(Date.now()).toBeGreaterThan(epochMs + 24 * 3_600_000);
  });

  it('keeps a Date a Date', async () => {
    const old = new Date(5);
    await inWorld(async () => {
      expect(old).toBeInstanceOf(Date);
      expect(new Date(7).getTime()).toBe(7);
      expect(new Date(2020, 1, 2)).toBeInstanceOf(Date);
      expect(typeof Date()).toBe('string');
    });
    expect(await inWorld(async () => new Date(1))).toBeInstanceOf(Date);
  });
});

describe('async context', () => {
  it('is kept by timers', async () => {
    const context = new AsyncLocalStorage<string>();
    const seen = await inWorld(
      () =>
        new Promise<unknown[]>(resolve =>
          context.run('request 7', () =>
            setTimeout(() => setImmediate(() => resolve([context.getStore()])), 10),
          ),
        ),
    );
    expect(seen).toEqual(['request 7']);
  });
});

describe('real work', () => {
  it('holds the clock: a key derived in a thread is there at the instant it was asked for', async () => {
    const doneMs = await inWorld(async loop => {
      await loop.clockOf(loop.root).sleepMs(10);
      const idle = setInterval(() => {}, 1);
      const key = await webcrypto.subtle.importKey('raw', Buffer.from('secret'), 'PBKDF2', false, [
        'deriveBits',
      ]);
      const how = { name: 'PBKDF2', hash: 'SHA-256', salt: Buffer.alloc(16), iterations: 4096 };
      await webcrypto.subtle.deriveBits(how, key, 256);
      const seenMs = loop.nowMs;
      clearInterval(idle);
      return seenMs;
    });
    expect(doneMs).toBe(10);
  });

  it.each([
    [
      'sign',
      (done: () => void) =>
        crypto.generateKeyPair('ec', { namedCurve: 'P-256' }, (_error, _public, key) =>
          crypto.sign('sha256', Buffer.from('x'), key, done),
        ),
    ],
    ['generatePrime', (done: () => void) => crypto.generatePrime(64, done)],
    [
      'the promised generateKeyPair',
      (done: () => void) =>
        void promisify(crypto.generateKeyPair)('ec', { namedCurve: 'P-256' }).then(
          ({ privateKey }) => privateKey && done(),
        ),
    ],
  ])('holds it for %s', async (_name, work) => {
    const doneMs = await inWorld(
      loop =>
        new Promise<number>(resolve => {
          const idle = setInterval(() => {}, 1);
          work(() => {
            clearInterval(idle);
            resolve(loop.nowMs);
          });
        }),
    );
    expect(doneMs).toBe(0);
  });

  it('holds it for callbacks of node:crypto as well', async () => {
    const doneMs = await inWorld(
      loop =>
        new Promise<number>(resolve => {
          const idle = setInterval(() => {}, 1);
          crypto.pbkdf2('secret', 'salt', 4096, 32, 'sha256', () => {
            clearInterval(idle);
            resolve(loop.nowMs);
          });
        }),
    );
    expect(doneMs).toBe(0);
  });
});

describe('chance', () => {
  const draw = () =>
    inWorld(async () => [
      Math.random(),
      randomBytes(8).toString('hex'),
      crypto.randomUUID(),
      crypto.randomInt(1000),
      webcrypto.getRandomValues(new Uint8Array(4)).join(),
    ]);

  it('is the seed', async () => {
    expect(await draw()).toEqual(await draw());
    const other = await inWorld(async () => Math.random(), 2);
    expect(other).not.toBe((await draw())[0]);
  });

  it('answers a callback within the instant', async () => {
    const doneMs = await inWorld(
      loop =>
        new Promise<number>(resolve => {
          setInterval(() => {}, 1);
          crypto.randomBytes(20, () => resolve(loop.nowMs));
        }),
    );
    expect(doneMs).toBe(0);
  });
});

describe('filling a part of a buffer', () => {
  it('leaves the rest as it is, in elements', async () => {
    await inWorld(async () => {
      const bytes = crypto.randomFillSync(Buffer.alloc(12), 4, 4);
      expect([...bytes.subarray(0, 4), ...bytes.subarray(8)]).toEqual(Array(8).fill(0));
      const words = crypto.randomFillSync(new Uint32Array(4), 1, 1);
      expect([words[0], words[2], words[3]]).toEqual([0, 0, 0]);
      expect(words[1]).not.toBe(0);
      const all = crypto.randomFillSync(new ArrayBuffer(16) as never);
      expect(Buffer.from(all as unknown as ArrayBuffer).equals(Buffer.alloc(16))).toBe(false);
    });
  });
});

describe('an error nobody catches', () => {
  const crashes = async (act: () => void) => {
    const errors: unknown[] = [];
    const seen = await inWorld(async loop => {
      const actor = new Actor('worker', error => {
        errors.push((error as Error).message);
        actor.end();
      });
      await asActor(loop, actor, act);
      return loop.nowMs;
    });
    return { errors, seen };
  };

  it.each([
    [
      'thrown in a timer',
      () => {
        setTimeout(() => {
          throw new Error('gone');
        }, 5);
      },
    ],
    [
      'thrown in nextTick',
      () => {
        process.nextTick(() => {
          throw new Error('gone');
        });
      },
    ],
    ['a promise that nobody awaits', () => void Promise.reject(new Error('gone'))],
    [
      'thrown in a microtask',
      () => {
        queueMicrotask(() => {
          throw new Error('gone');
        });
      },
    ],
  ])('%s belongs to who acted, and the world goes on', async (_how, act) => {
    expect(await crashes(act)).toEqual({ errors: ['gone'], seen: 100 });
  });

  it('takes the timers of its actor with it', async () => {
    const late: string[] = [];
    await crashes(() => {
      setTimeout(() => late.push('ghost'), 10);
      throw new Error('gone');
    });
    expect(late).toEqual([]);
  });

  it('ends the run when it is the harness itself', async () => {
    const run = inWorld(async loop => {
      setTimeout(() => {
        throw new Error('a bug of ours');
      }, 5);
      await loop.clockOf(loop.root).sleepMs(100);
    });
    await expect(run).rejects.toThrow('a bug of ours');
  });
});

it('is one world at a time', async () => {
  await inWorld(async loop => {
    const again = () => install({ loop, random: seeded(1), Socket: NoSocket, connect: () => null });
    expect(again).toThrow(/one at a time/);
  });
});
