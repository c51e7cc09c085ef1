import { describe, expect } from 'vitest';
import { has, over, plays, stages } from './plays.ts';
import { linked } from './stage.ts';

describe.each(stages)('%s', (_name, onStage) => {
  const { withLink } = plays(onStage);

  withLink('latency holds for a live connection, and leaves with what it held', async (stage, two) => {
    const { client, server } = two;
    stage.addToxic('slow', 'latency', { latency: 200 });
    const startMs = stage.nowMs();
    server.send('one');
    client.socket.write('other way');
    await stage.until('the other way', () => server.heard.bytes > 0);
    expect(client.heard.bytes).toBe(0);
    await stage.until('one', () => client.heard.text === 'one');
    expect(stage.nowMs() - startMs).toBeGreaterThan(199);
    stage.addToxic('slower', 'latency', { latency: 1_000_000 });
    server.send('two');
    server.end();
    await stage.settled();
    stage.removeToxic('slow');
    await stage.settled();
    expect(client.heard.text).toBe('one');
    stage.removeToxic('slower');
    await stage.until('two', over(client));
    expect(client.heard.text).toBe('onetwo');
    expect(client.heard.events).toEqual(['data', 'end', 'finish', 'close false']);
  });

  withLink('idle_timeout counts from the last byte, before the toxic came, too', async (stage, two) => {
    const { client, server } = two;
    await stage.sleepMs(310);
    const addedMs = stage.nowMs();
    stage.addToxic('idle', 'idle_timeout', { timeout: 300, how: 'rst' });
    await stage.until('close', over(client));
    await stage.until('reset', has(server, 'reset'));
    expect(stage.nowMs() - addedMs).toBeLessThan(300);
    const [kill] = stage.kills;
    expect(stage.kills.length).toBe(1);
    expect(kill).toMatchObject({ toxic: 'idle', how: 'rst' });
    expect(kill!.idleMs).toBeGreaterThanOrEqual(309);
    expect(client.heard.events).toEqual(['error: read ECONNRESET -104', 'close true']);
    expect(server.heard.events).toEqual(['reset']);
  });

  withLink('the kill names the port the client knows', async (stage, { client }) => {
    const { localPort } = client.socket;
    stage.addToxic('idle', 'idle_timeout', { timeout: 20, how: 'fin' });
    await stage.until('kill', () => stage.kills.length === 1);
    expect(stage.kills[0]!.clientPort).toBe(localPort);
  });

  withLink('idle_timeout fin ends both sides', async (stage, { client, server }) => {
    stage.addToxic('idle', 'idle_timeout', { timeout: 30, how: 'fin' });
    await stage.until('both', () => over(client)() && has(server, 'end')());
    expect(client.heard.events).toEqual(['end', 'finish', 'close false']);
    expect(server.heard.events).toEqual(['end']);
  });

  withLink('traffic keeps a connection from idle_timeout', async (stage, { client, server }) => {
    stage.addToxic('idle', 'idle_timeout', { timeout: 250, how: 'rst' });
    const startMs = stage.nowMs();
    while (stage.nowMs() < startMs + 400) {
      client.socket.write('.');
      await stage.sleepMs(5);
    }
    expect(stage.kills).toEqual([]);
    await stage.until('kill', () => stage.kills.length === 1);
    expect(server.heard.events).toEqual(expect.arrayContaining(['data']));
  });

  withLink('drop tells nobody; who sends is reset when it gives up', async (stage, { client, server }) => {
    stage.addToxic('idle', 'idle_timeout', { timeout: 20, how: 'drop', giveUp: 60 });
    await stage.until('kill', () => stage.kills.length === 1);
    stage.removeToxic('idle');
    server.send('lost');
    server.end();
    await stage.settled();
    expect([client.heard.events, server.heard.events]).toEqual([[], []]);
    const startMs = stage.nowMs();
    client.socket.write('lost');
    await stage.until('close', over(client));
    expect(stage.nowMs() - startMs).toBeGreaterThan(59);
    expect(client.heard.events).toEqual(['error: read ECONNRESET -104', 'close true']);
    // The server had ended, and now nobody is left at the other end of the hole.
    await stage.until('end', has(server, 'end'));
    expect(server.heard.events).toEqual(['end']);
  });

  withLink('an end into the hole is given up, too', async (stage, { client, server }) => {
    stage.addToxic('idle', 'idle_timeout', { timeout: 20, giveUp: 40 });
    await stage.until('kill', () => stage.kills.length === 1);
    client.socket.end();
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['finish', 'error: read ECONNRESET -104', 'close true']);
    expect(server.heard.events).toEqual([]);
  });

  withLink('cut ends what lives and what was dropped, and refuses from then on', async (stage, two) => {
    stage.addToxic('idle', 'idle_timeout', { timeout: 20 });
    await stage.until('kill', () => stage.kills.length === 1);
    stage.removeToxic('idle');
    const live = await linked(stage);
    stage.cut();
    for (const { client, server } of [two, live]) {
      await stage.until('both', () => over(client)() && has(server, 'end')());
      expect(client.heard.events).toEqual(['end', 'finish', 'close false']);
      expect(server.heard.events).toEqual(['end']);
    }
    const late = stage.dial();
    await stage.until('close', over(late));
    expect(late.heard.events[0]).toMatch(/ECONNREFUSED/);
  });

  withLink('a toxic that comes later holds what an earlier one held', async (stage, { client, server }) => {
    stage.addToxic('first', 'latency', { latency: 100 });
    const startMs = stage.nowMs();
    server.send('held');
    await stage.settled();
    stage.addToxic('second', 'latency', { latency: 100 });
    await stage.until('held', () => client.heard.text === 'held');
    expect(stage.nowMs() - startMs).toBeGreaterThan(198);
  });

  for (const [how, text, events] of [
    ['fin', 'held', ['data', 'end', 'finish', 'close false']],
    ['rst', '', ['error: read ECONNRESET -104', 'close true']],
  ] as const)
    withLink(`what is held when idle_timeout ends with ${how}`, async (stage, { client, server }) => {
      stage.addToxic('slow', 'latency', { latency: 1_000_000 });
      server.send('held');
      await stage.settled();
      stage.addToxic('idle', 'idle_timeout', { timeout: 20, how });
      await stage.until('close', over(client));
      expect([client.heard.text, client.heard.events]).toEqual([text, events]);
    });

  withLink('an end that came before the drop is given up, too', async (stage, { client, server }) => {
    client.socket.end();
    await stage.until('end', has(server, 'end'));
    stage.addToxic('idle', 'idle_timeout', { timeout: 20, giveUp: 40 });
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['finish', 'error: read ECONNRESET -104', 'close true']);
    expect(server.heard.events).toEqual(['end']);
  });
});
