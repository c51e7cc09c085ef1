import { describe, expect, it } from 'vitest';
import { realClock } from '../../src/clock.ts';
import { gathering } from '../../src/worker/channel.ts';

/** A channel whose timers fire when the test says so. */
function channel() {
  const written: string[] = [];
  let timers: (() => void)[] = [];
  const after = (_ms: number, act: () => void) => {
    timers.push(act);
    return () => {
      timers = timers.filter(other => other !== act);
    };
  };
  const line = gathering({ ...realClock, after }, text => written.push(text));
  const fire = () => {
    for (const act of timers.splice(0)) act();
  };
  return { ...line, written, waiting: () => timers.length, fire };
}
const turn = () => new Promise(setImmediate);
const pong = (n: number) => ({ k: 'pong', n, at: 0 }) as const;
const beat = { k: 'beat' } as const;

describe("a worker's channel", () => {
  it('writes the lines of a turn together, in their order', async () => {
    const { send, written } = channel();
    send(pong(1));
    send(beat, 'soon');
    expect(written).toEqual([]);
    await turn();
    expect(written).toEqual(['{"k":"pong","n":1,"at":0}\n{"k":"beat"}\n']);
  });

  it('lets lines wait for company', async () => {
    const { send, written, fire } = channel();
    send(beat, 'soon');
    await turn();
    expect(written).toEqual([]);
    send(pong(1), 'soon');
    fire();
    expect(written).toEqual(['{"k":"beat"}\n{"k":"pong","n":1,"at":0}\n']);
  });

  it('forgets the wait that a hurried line has cut short', async () => {
    const { send, written, waiting } = channel();
    for (let n = 0; n < 10; n += 1) {
      send(beat, 'soon');
      send(pong(n));
      await turn();
    }
    expect(written).toHaveLength(10);
    expect(waiting()).toBe(0);
    send(beat, 'soon');
    expect(waiting()).toBe(1);
  });

  it('says everything at once when it is told to', () => {
    const { send, flush, written } = channel();
    send(beat, 'soon');
    flush();
    expect(written).toHaveLength(1);
    flush();
    expect(written).toHaveLength(1);
  });
});
