import { describe, expect, it } from 'vitest';
import { Actor, type Drive, VirtualLoop, VirtualTimeError } from '../../src/sim/loop.ts';

const drives: Drive[] = ['burst', 'single'];

describe.each(drives)('virtual time, driven in %s', drive => {
  it('jumps from one thing to the next, in order of time and then of coming', async () => {
    const loop = new VirtualLoop({ drive });
    const seen: string[] = [];
    const note = (name: string) => void seen.push(`${name}@${loop.nowMs}`);
    await loop.run(async () => {
      loop.schedule(5, loop.root, note, 'b');
      loop.schedule(5, loop.root, note, 'c');
      loop.schedule(1.25, loop.root, note, 'a');
      await loop.clockOf(loop.root).sleepMs(3_600_000);
    });
    expect(seen).toEqual(['a@1.25', 'b@5', 'c@5']);
    expect(loop.nowMs).toBe(3_600_000);
  });

  it('lets promises and nextTick of a step end before the next', async () => {
    const loop = new VirtualLoop({ drive });
    const seen: string[] = [];
    await loop.run(async () => {
      loop.schedule(
        1,
        loop.root,
        () => {
          void Promise.resolve()
            .then(() => Promise.resolve())
            .then(() => seen.push(`promise@${loop.nowMs}`));
          process.nextTick(() => process.nextTick(() => seen.push(`tick@${loop.nowMs}`)));
        },
        null,
      );
      loop.schedule(2, loop.root, () => seen.push('next'), null);
      await loop.clockOf(loop.root).sleepMs(3);
    });
    expect(seen.sort()).toEqual(['next', 'promise@1', 'tick@1']);
    expect(seen.at(-1)).toBe('tick@1');
  });

  it('stands still while real work is on the way, and gives results in the order of the beginnings', async () => {
    const loop = new VirtualLoop({ drive });
    const clock = loop.clockOf(loop.root);
    const later = (realMs: number) => new Promise(resolve => setTimeout(resolve, realMs, realMs));
    const seen: unknown[] = [];
    await loop.run(async () => {
      await clock.sleepMs(10);
      void loop.hold(later(30)).then(ms => seen.push([ms, loop.nowMs]));
      void loop.hold(later(5)).then(ms => seen.push([ms, loop.nowMs]));
      await clock.sleepMs(100_000);
    });
    expect(seen).toEqual([
      [30, 10],
      [5, 10],
    ]);
  });

  it('forgets what is cancelled, and never gets slower by it', async () => {
    const loop = new VirtualLoop({ drive });
    await loop.run(async () => {
      for (let n = 0; n < 5000; n += 1) loop.cancel(loop.schedule(1e9 + n, loop.root, () => {}, null));
      await loop.clockOf(loop.root).sleepMs(1);
    });
    expect(loop.nowMs).toBe(1);
    expect(loop.steps).toBeLessThan(5);
  });

  it('calls nothing on behalf of who has ended, and ends what belongs to them', async () => {
    const loop = new VirtualLoop({ drive });
    const actor = new Actor('worker', () => {});
    const seen: string[] = [];
    actor.belongings.add({ ended: () => seen.push('socket gone') });
    await loop.run(async () => {
      loop.schedule(1, actor, () => seen.push('first'), null);
      loop.schedule(3, actor, () => seen.push('never'), null);
      await loop.clockOf(loop.root).sleepMs(2);
      actor.end();
      await loop.clockOf(loop.root).sleepMs(2);
    });
    expect(seen).toEqual(['first', 'socket gone']);
  });

  it('tells an error to whoever acted', async () => {
    const loop = new VirtualLoop({ drive });
    const errors: unknown[] = [];
    const actor = new Actor('worker', error => errors.push(error));
    await loop.run(async () => {
      loop.schedule(
        1,
        actor,
        () => {
          throw new Error('its own');
        },
        null,
      );
      await loop.clockOf(loop.root).sleepMs(2);
    });
    expect(errors).toEqual([new Error('its own')]);
  });

  it('ends the run with an error that belongs to nobody else', async () => {
    const loop = new VirtualLoop({ drive });
    const broken = loop.run(async () => {
      loop.schedule(
        1,
        loop.root,
        () => {
          throw new Error('ours');
        },
        null,
      );
      await loop.clockOf(loop.root).sleepMs(2);
    });
    await expect(broken).rejects.toThrow('ours');
  });

  it('says so when time turns in place', async () => {
    const loop = new VirtualLoop({ drive, stepsAtOnceMax: 100 });
    const again = () => void loop.schedule(loop.nowMs, loop.root, again, null);
    const run = loop.run(async () => {
      again();
      await loop.clockOf(loop.root).sleepMs(5);
    });
    await expect(run).rejects.toThrow(
      /does not advance: over 100 steps at 0 ms, the last on behalf of harness/,
    );
  });
});

it('says so when nothing is left to happen', async () => {
  const loop = new VirtualLoop();
  const run = loop.run(() => new Promise(() => {}));
  await expect(run).rejects.toThrow(VirtualTimeError);
  await expect(run).rejects.toThrow(/nothing is left to happen/);
});

it('takes the same steps however it is driven', async () => {
  const traces = await Promise.all(
    drives.map(async drive => {
      const loop = new VirtualLoop({ drive });
      const trace: string[] = [];
      let n = 0;
      const again = () => {
        trace.push(`${loop.nowMs}:${n}`);
        n += 1;
        if (n < 500)
          void Promise.resolve().then(() => loop.schedule(loop.nowMs + (n % 7) / 3, loop.root, again, null));
      };
      await loop.run(async () => {
        again();
        await loop.clockOf(loop.root).sleepMs(10_000);
      });
      return trace.join();
    }),
  );
  expect(traces[0]).toBe(traces[1]);
});
