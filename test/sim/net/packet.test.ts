import { describe, expect, test } from 'vitest';
import { linked } from './stage.ts';
import { type VirtualStage, virtual } from './virtual-stage.ts';

/** The firewall on the wire: what no proxy between two kernels can show. */

const firewallMs = 350_000;

const onWire = (what: string, play: (stage: VirtualStage) => Promise<void>, model = {}) =>
  test(what, () => virtual(play, { kind: 'packet', model }));

/** When a client that is linked now closes, in ms from now; null when not within `limitMs`. */
async function closesAfterMs(stage: VirtualStage, client: { socket: NodeJS.EventEmitter }, limitMs: number) {
  const startMs = stage.nowMs();
  let closedMs: number | null = null;
  client.socket.on('close', () => {
    closedMs = stage.nowMs() - startMs;
  });
  await stage.sleepMs(limitMs);
  return closedMs;
}

const withFirewall = (stage: VirtualStage) =>
  stage.addToxic('firewall', 'idle_timeout', { timeout: firewallMs });

describe('a firewall that forgets idle connections', () => {
  onWire('probes more often than its limit keep a connection', async stage => {
    const { client, server } = await linked(stage);
    client.socket.setKeepAlive(true, 300_000);
    withFirewall(stage);
    expect(await closesAfterMs(stage, client, 8 * 3_600_000)).toBe(null);
    expect(stage.kills).toEqual([]);
    client.socket.write('still here');
    await stage.until('bytes', () => server.heard.text === 'still here');
  });

  onWire('the probes of either end do', async stage => {
    const { client } = await linked(stage);
    stage.ends[0]!.setKeepAlive(true);
    stage.addToxic('patient', 'idle_timeout', { timeout: 7_300_000 });
    expect(await closesAfterMs(stage, client, 8 * 3_600_000)).toBe(null);
    expect(stage.kills).toEqual([]);
  });

  onWire('rarer probes find out: the delay and ten more seconds', async stage => {
    const { client, server } = await linked(stage);
    client.socket.setKeepAlive(true, 600_000);
    withFirewall(stage);
    const closedMs = await closesAfterMs(stage, client, 3_600_000);
    expect(closedMs).toBeCloseTo(610_000, 0);
    expect(client.heard.events).toEqual(['error: read ETIMEDOUT -110', 'close true']);
    expect(server.heard.events).toEqual([]);
    const [kill] = stage.kills;
    expect(kill).toMatchObject({ toxic: 'firewall', how: 'drop', link: 1, idleMs: firewallMs });
  });

  onWire('setKeepAlive(true, 0) leaves it to the OS: 7200 s and nine times 75 s', async stage => {
    const { client } = await linked(stage);
    client.socket.setKeepAlive(true, 0);
    withFirewall(stage);
    expect(await closesAfterMs(stage, client, 10_000_000)).toBeCloseTo(7_200_000 + 9 * 75_000, 0);
  });

  onWire('without probes nobody finds out', async stage => {
    const { client, server } = await linked(stage);
    withFirewall(stage);
    expect(await closesAfterMs(stage, client, 100 * 3_600_000)).toBe(null);
    expect([client.heard.events, server.heard.events, stage.kills.length]).toEqual([[], [], 1]);
  });

  onWire('retransmission gives up 924.6 s after the first byte, later ones do not delay it', async stage => {
    const { client, server } = await linked(stage);
    client.socket.setKeepAlive(true, 600_000);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    client.socket.write('into the hole');
    stage.loop.schedule(stage.nowMs() + 500_000, stage.loop.root, () => client.socket.write('more'), null);
    expect(await closesAfterMs(stage, client, 3_600_000)).toBeCloseTo(924_600, 3);
    expect(client.heard.events).toEqual(['error: read ETIMEDOUT -110', 'close true']);
    expect(server.heard.events).toEqual([]);
  });

  onWire('nobody probes while bytes are unacknowledged', async stage => {
    const { client } = await linked(stage);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    client.socket.write('into the hole');
    await stage.sleepMs(1);
    client.socket.setKeepAlive(true, 1000);
    expect(await closesAfterMs(stage, client, 3_600_000)).toBeCloseTo(924_599, 0);
  });

  onWire('an end into the hole is given up, too', async stage => {
    const { client } = await linked(stage);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    client.socket.end();
    expect(await closesAfterMs(stage, client, 3_600_000)).toBeCloseTo(924_600, 3);
    expect(client.heard.events).toEqual(['finish', 'error: read ETIMEDOUT -110', 'close true']);
  });

  onWire('the server gives up as well', async stage => {
    const { client, server } = await linked(stage);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    server.send('into the hole');
    await stage.sleepMs(924_590);
    expect(server.heard.events).toEqual([]);
    await stage.sleepMs(20);
    expect(server.heard.events).toEqual(['reset']);
    expect(client.heard.events).toEqual([]);
  });

  onWire('bytes that nobody acknowledges fill the window and then writes wait', async stage => {
    const { client } = await linked(stage);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    let written = 0;
    for (let n = 0; n < 8; n += 1) client.socket.write(Buffer.alloc(1024 * 1024), () => (written += 1));
    await stage.sleepMs(60_000);
    expect(written).toBe(4);
    expect(client.socket.writableNeedDrain).toBe(true);
  });

  onWire('it lets new connections pass', async stage => {
    await linked(stage);
    withFirewall(stage);
    await stage.sleepMs(400_000);
    stage.servers.length = 0;
    await linked(stage);
    expect(stage.kills.length).toBe(1);
  });

  onWire('fin reaches both ends', async stage => {
    const { client, server } = await linked(stage);
    stage.addToxic('fin', 'idle_timeout', { timeout: 1000, how: 'fin' });
    await stage.sleepMs(2000);
    expect(client.heard.events).toEqual(['end', 'finish', 'close false']);
    expect(server.heard.events).toEqual(['end']);
  });

  onWire('rst is its answer to what comes next; who sends nothing is never told', async stage => {
    const { client, server } = await linked(stage);
    stage.addToxic('rst', 'idle_timeout', { timeout: 1000, how: 'rst' });
    await stage.sleepMs(3_600_000);
    expect([client.heard.events, server.heard.events, stage.kills.length]).toEqual([[], [], 1]);
    client.socket.write('anybody there?');
    await stage.sleepMs(1);
    expect(client.heard.events).toEqual(['error: read ECONNRESET -104', 'close true']);
    expect(server.heard.events).toEqual([]);
  });
});

describe('other things of the wire', () => {
  onWire('latency delays the handshake, too', async stage => {
    stage.addToxic('down', 'latency', { latency: 100 });
    stage.addToxic('up', 'latency', { latency: 10 }, 'upstream');
    const client = stage.dial();
    await stage.until('connect', () => client.heard.events.includes('connect'));
    expect(stage.nowMs()).toBeGreaterThan(110);
    expect(stage.nowMs()).toBeLessThan(111);
  });

  onWire('refused', async stage => {
    await stage.shut();
    const client = stage.dial();
    await stage.sleepMs(1);
    expect(client.heard.events).toEqual(['error: connect ECONNREFUSED 127.0.0.1:5432 -111', 'close true']);
  });

  onWire('a server that has gone answers the first byte with a reset', async stage => {
    const { client, server } = await linked(stage, { allowHalfOpen: true });
    server.close();
    await stage.settled();
    client.socket.write('first');
    await stage.settled();
    expect(client.heard.events).toEqual(['end']);
    client.socket.write('second');
    await stage.settled();
    expect(client.heard.events).toEqual(['end', 'error: write EPIPE -32', 'close true']);
  });

  onWire(
    'a client destroyed right after it dialed is seen by the server',
    async stage => {
      const client = stage.dial();
      await Promise.resolve();
      await stage.sleepMs(0);
      client.socket.destroy();
      await stage.settled();
      expect(stage.servers.map(({ heard }) => heard.events)).toEqual([['end']]);
    },
    { hopMs: { min: 0.05, max: 0.05 } },
  );

  onWire(
    'a reset behind bytes nobody has read is an end to libuv, and the next write finds out',
    async stage => {
      const { client, server } = await linked(stage, { allowHalfOpen: true });
      server.send('last words');
      server.reset();
      await stage.settled();
      expect(client.heard.events).toEqual(['data', 'end']);
      client.socket.write('late');
      await stage.settled();
      expect(client.heard.events).toEqual(['data', 'end', 'error: write ECONNRESET -104', 'close true']);
    },
  );
});
