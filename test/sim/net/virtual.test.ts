import { describe, expect, test } from 'vitest';
import { Actor } from '../../../src/sim/loop.ts';
import { type Client, linked } from './stage.ts';
import { type VirtualOptions, type VirtualStage, virtual } from './virtual-stage.ts';

/** What only the virtual network can show, or promise. */

const even = { hopMs: { min: 0.05, max: 0.05 } };

const play = (what: string, act: (stage: VirtualStage) => Promise<void>, options: VirtualOptions = {}) =>
  test(what, () => virtual(act, options));

/** Runs `act` as somebody else's. */
function as<T>(stage: VirtualStage, actor: Actor, act: () => T): T {
  const { actor: before } = stage.loop;
  stage.loop.actor = actor;
  try {
    return act();
  } finally {
    stage.loop.actor = before;
  }
}

const crashed = (error: unknown): void => {
  throw error;
};

describe('times', () => {
  play(
    'two hops each way, one step a chunk',
    async stage => {
      const { client, server } = await linked(stage);
      const startMs = stage.nowMs();
      let answeredMs = 0;
      stage.ends[0]!.resume();
      const { steps } = stage.loop;
      client.socket.on('data', () => {
        answeredMs = stage.nowMs() - startMs;
      });
      client.socket.write('ask');
      await stage.sleepMs(0.15);
      server.send('answer');
      await stage.sleepMs(0.15);
      expect(answeredMs).toBeCloseTo(0.25, 6);
      // Both sleeps are steps, too.
      expect(stage.loop.steps - steps).toBe(4);
    },
    { model: even },
  );

  play(
    'a pause and a resume hasten nothing',
    async stage => {
      const { client, server } = await linked(stage);
      client.socket.write('a');
      stage.ends[0]!.pause();
      stage.ends[0]!.resume();
      await stage.sleepMs(0.05);
      client.socket.write('b');
      await stage.sleepMs(0.07);
      expect(server.heard.text).toBe('a');
      await stage.sleepMs(0.04);
      expect(server.heard.text).toBe('ab');
      stage.ends[0]!.pause();
      client.socket.write('c');
      await stage.sleepMs(10);
      expect(server.heard.text).toBe('ab');
      stage.ends[0]!.resume();
      await stage.sleepMs(0);
      expect(server.heard.text).toBe('abc');
    },
    { model: even },
  );

  play('whoever receives bytes owns them, and whoever wrote them has them back', async stage => {
    const { client, server } = await linked(stage);
    const [asked, constant] = [Buffer.from('asked'), Buffer.from('constant')];
    client.socket.write(asked);
    server.send(constant);
    asked.fill(0);
    await stage.sleepMs(1);
    client.heard.chunks[0]!.fill(0);
    expect([server.heard.text, constant.toString()]).toEqual(['asked', 'constant']);
  });

  play(
    'bandwidth',
    async stage => {
      const { server, client } = await linked(stage);
      const startMs = stage.nowMs();
      server.send(Buffer.alloc(1000));
      server.send(Buffer.alloc(1000));
      const stamps: number[] = [];
      client.socket.on('data', () => stamps.push(stage.nowMs() - startMs));
      await stage.sleepMs(1000);
      expect(stamps.map(Math.round)).toEqual([100, 200]);
    },
    { model: { ...even, bytesPerMs: 10 } },
  );

  play('jitter never lets a chunk overtake', async stage => {
    const { server, client } = await linked(stage);
    stage.addToxic('jitter', 'latency', { latency: 50, jitter: 50 });
    const lines = Array.from({ length: 500 }, (_, n) => `${n};`);
    for (const line of lines) {
      server.send(line);
      await stage.sleepMs(1);
    }
    server.end();
    await stage.sleepMs(200);
    expect(client.heard.text).toBe(lines.join(''));
    expect(client.heard.events.slice(0, 2)).toEqual(['data', 'end']);
  });

  play('a greeting never comes before the connection', async stage => {
    stage.addToxic('slow', 'latency', { latency: 5 });
    for (let n = 0; n < 200; n += 1) {
      const client = stage.dial();
      await stage.until('the server', () => stage.servers.length > n);
      stage.servers[n]!.send('greeting');
      stage.servers[n]!.end();
      await stage.until('close', () => client.heard.events.includes('close false'));
      expect(client.heard.events.slice(0, 4)).toEqual(['connect', 'ready', 'data', 'end']);
    }
  });

  play('sent for later, and forgotten before it left', async stage => {
    const { client } = await linked(stage);
    const end = stage.ends[0]!;
    end.send(Buffer.from('one'), stage.nowMs() + 10);
    end.send(Buffer.from('two'), stage.nowMs() + 20);
    await stage.sleepMs(15);
    expect([client.heard.text, end.unreadBytes]).toEqual(['one', 3]);
    end.discard();
    expect(end.unreadBytes).toBe(0);
    end.send(Buffer.from('three'));
    await stage.sleepMs(1);
    expect(client.heard.text).toBe('onethree');
    end.send(Buffer.from('four'), stage.nowMs() + 10);
    end.reset();
    await stage.sleepMs(20);
    expect(client.heard.events).toEqual(['data', 'error: read ECONNRESET -104', 'close true']);
  });
});

describe('same seed, same times', () => {
  /** What one client hears and when, with others beside it. */
  async function times(seed: string, others: number): Promise<string[]> {
    const seen: string[] = [];
    await virtual(
      async stage => {
        stage.addToxic('jitter', 'latency', { latency: 2, jitter: 2 });
        const { client } = await linked(stage);
        client.socket.on('data', chunk => seen.push(`${stage.nowMs()} ${chunk}`));
        const mine = stage.ends[0]!;
        for (let n = 0; n < others; n += 1) stage.dial().socket.write('noise');
        const startMs = stage.nowMs();
        for (let n = 0; n < 50; n += 1) mine.send(Buffer.from(`${n}`), startMs + 3 * n);
        await stage.sleepMs(500);
      },
      { seed },
    );
    return seen;
  }

  test('whatever other connections do', async () => {
    const first = await times('a', 0);
    expect(first.length).toBe(50);
    expect(await times('a', 0)).toEqual(first);
    expect(await times('a', 3)).toEqual(first);
    expect(await times('b', 0)).not.toEqual(first);
  });
});

describe('actors', () => {
  play('who ends is silent at once, and its peers are reset', async stage => {
    const worker = new Actor('worker', crashed);
    const client: Client = as(stage, worker, () => stage.dial());
    client.socket.write('hi');
    await stage.until('hi', () => stage.servers[0]?.heard.text === 'hi');
    expect(worker.belongings.size).toBe(1);
    stage.servers[0]!.send('too late');
    client.heard.forget();
    worker.end();
    await stage.sleepMs(1000);
    expect(client.heard.events).toEqual([]);
    expect(stage.servers[0]!.heard.events).toEqual(['data', 'reset']);
    client.socket.destroy();
    await stage.sleepMs(1);
    expect(client.heard.events).toEqual([]);
  });

  play('events come on behalf of who made the socket', async stage => {
    const worker = new Actor('worker', crashed);
    const seen = new Set<string>();
    const client = as(stage, worker, () => stage.dial());
    for (const event of ['connect', 'data', 'end', 'close'])
      client.socket.on(event, () => seen.add(`${event} ${stage.loop.actor.name}`));
    await stage.until('the server', () => stage.servers.length === 1);
    stage.servers[0]!.send('x');
    stage.servers[0]!.end();
    await stage.sleepMs(1);
    expect([...seen]).toEqual(['connect worker', 'data worker', 'end worker', 'close worker']);
    expect(worker.belongings.size).toBe(0);
  });

  play('a server that ends closes what it had, and nobody listens', async stage => {
    const server = new Actor('server', crashed);
    as(stage, server, () => stage.network.listen(6000, () => ({ data() {}, end() {}, reset() {} })));
    const client = stage.dial({ port: 6000 });
    await stage.sleepMs(1);
    server.end();
    await stage.sleepMs(1);
    expect(client.heard.events).toEqual(['connect', 'ready', 'end', 'finish', 'close false']);
    // The proxy has seen a connection of its server's end, and looks.
    await stage.sleepMs(10);
    const late = stage.dial({ port: 6000 });
    await stage.sleepMs(1);
    expect(late.heard.events[0]).toMatch(/connect ECONNREFUSED 127.0.0.1:6000/);
  });
});

describe('the mirror', () => {
  const first = async (stage: VirtualStage) => {
    const client = stage.dial({ port: 6000 });
    await stage.sleepMs(1);
    return client.heard.events.find(event => event.startsWith('error')) ?? client.heard.events[0];
  };
  const nobody = () => ({ data() {}, end() {}, reset() {} });

  play(
    'accepts and resets whoever comes first, then refuses, and is back within 10 ms of its server',
    async stage => {
      const listener = stage.network.listen(6000, nobody);
      expect(await first(stage)).toBe('connect');
      listener.close();
      expect(await first(stage)).toBe('error: read ECONNRESET -104');
      expect(await first(stage)).toMatch(/connect ECONNREFUSED/);
      await stage.sleepMs(100);
      stage.network.listen(6000, nobody);
      await stage.sleepMs(10);
      expect(await first(stage)).toBe('connect');
    },
  );

  play('is nowhere that nobody ever listened', async stage => {
    expect(await first(stage)).toMatch(/connect ECONNREFUSED/);
  });
});

describe('corked writes', () => {
  play('go out as one', async stage => {
    const { client } = await linked(stage);
    const { steps } = stage.loop;
    client.socket.cork();
    for (const part of ['a', 'b', 'c']) client.socket.write(part);
    client.socket.uncork();
    await stage.sleepMs(1);
    expect(stage.servers[0]!.heard.text).toBe('abc');
    expect(stage.loop.steps - steps).toBe(2);
  });
});
