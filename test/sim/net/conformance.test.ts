import { describe, expect } from 'vitest';
import { has, over, plays, stages } from './plays.ts';

describe.each(stages)('%s', (_name, onStage) => {
  const { play, withLink } = plays(onStage);

  play('connects: what is written before goes out then', async stage => {
    const { socket, heard } = stage.dial();
    expect([socket.connecting, socket.pending, socket.readyState]).toEqual([true, true, 'opening']);
    let callback = 0;
    expect(socket.write('early', () => (callback += 1))).toBe(true);
    await stage.until('the bytes', () => stage.servers.some(server => server.heard.text === 'early'));
    expect(heard.events).toEqual(['connect', 'ready']);
    expect([socket.connecting, socket.pending, socket.readyState, callback]).toEqual([
      false,
      false,
      'open',
      1,
    ]);
    expect([socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.bytesWritten]).toEqual([
      '127.0.0.1',
      'IPv4',
      '127.0.0.1',
      5,
    ]);
  });

  play('refused', async stage => {
    await stage.shut();
    const client = stage.dial();
    let refusal: Record<string, unknown> = {};
    client.socket.on('error', error => (refusal = { ...error }));
    await stage.until('close', over(client));
    const { port, ...rest } = refusal;
    expect(client.heard.events).toEqual([`error: connect ECONNREFUSED 127.0.0.1:${port} -111`, 'close true']);
    expect(rest).toEqual({ errno: -111, code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1' });
  });

  play('destroyed at once nobody is dialed', async stage => {
    const client = stage.dial();
    client.socket.destroy();
    await stage.until('close', over(client));
    await stage.settled();
    expect(client.heard.events).toEqual(['close false']);
    expect(stage.servers).toEqual([]);
  });

  withLink('many chunks both ways keep their order', async (stage, { client, server }) => {
    const lines = Array.from({ length: 2000 }, (_, n) => `${n};`);
    for (const line of lines) client.socket.write(line);
    for (const line of lines) server.send(line);
    const all = lines.join('');
    await stage.until('all', () => client.heard.bytes === all.length && server.heard.bytes === all.length);
    expect([client.heard.text === all, server.heard.text === all]).toEqual([true, true]);
    expect(client.socket.bytesRead).toBe(all.length + 2);
    expect(client.socket.bytesWritten).toBe(all.length + 2);
  });

  withLink('writes wait while the server does not read', async (stage, { client, server }) => {
    const [count, size] = [48, 1024 * 1024];
    const order: string[] = [];
    server.pause();
    let written = 0;
    const returned = Array.from({ length: count }, () =>
      client.socket.write(Buffer.alloc(size), () => {
        written += 1;
        if (written === count) order.push('all written');
      }),
    );
    expect(returned.at(-1)).toBe(false);
    await stage.until('the first bytes on their way', () => written > 0);
    await stage.settled();
    expect(client.socket.writableNeedDrain).toBe(true);
    order.push('resumed');
    server.resume();
    await stage.until('all bytes', () => server.heard.bytes === count * size);
    await stage.until('drain', has(client, 'drain'));
    expect(order).toEqual(['resumed', 'all written']);
    expect(client.heard.events).toEqual(['drain']);
  });

  withLink('a paused client holds bytes back', async (stage, { client, server }) => {
    const size = 256 * 1024;
    client.socket.pause();
    server.send(Buffer.alloc(size, 'a'));
    await stage.until('a first part', () => client.socket.readableLength > 0);
    await stage.settled();
    expect(client.heard.bytes).toBe(0);
    client.socket.resume();
    await stage.until('all', () => client.heard.bytes === size);
  });

  withLink('the server ends: the client answers by itself', async (stage, { client, server }) => {
    server.send('bye');
    server.end();
    await stage.until('both ends', () => over(client)() && has(server, 'end')());
    expect(client.heard.events).toEqual(['data', 'end', 'finish', 'close false']);
    expect(server.heard.events).toEqual(['end']);
  });

  withLink(
    'the server ends and a half-open client goes on sending',
    async (stage, { client, server }) => {
      server.end();
      await stage.until('end', has(client, 'end'));
      client.socket.write('still');
      await stage.until('bytes', () => server.heard.text === 'still');
      client.socket.end();
      await stage.until('both ends', () => over(client)() && has(server, 'end')());
      expect(client.heard.events).toEqual(['end', 'finish', 'close false']);
      expect(server.heard.events).toEqual(['data', 'end']);
    },
    { allowHalfOpen: true },
  );

  withLink('the client ends and the server goes on sending', async (stage, { client, server }) => {
    client.socket.end('last');
    await stage.until('end', has(server, 'end'));
    server.send('more');
    await stage.until('bytes', () => client.heard.text === 'more');
    server.end();
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['finish', 'data', 'end', 'close false']);
    expect(server.heard.events).toEqual(['data', 'end']);
  });

  withLink('the server resets', async (stage, { client, server }) => {
    server.reset();
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['error: read ECONNRESET -104', 'close true']);
  });

  withLink('the server resets some time after bytes', async (stage, { client, server }) => {
    server.send('some');
    await stage.until('bytes', () => client.heard.text === 'some');
    server.reset();
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['data', 'error: read ECONNRESET -104', 'close true']);
  });

  withLink('the server resets right after bytes', async (stage, { client, server }) => {
    server.send('some');
    server.reset();
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['data', 'end', 'finish', 'close false']);
  });

  withLink('the client is destroyed: the server sees an end', async (stage, { client, server }) => {
    client.socket.destroy();
    await stage.until('end', has(server, 'end'));
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['close false']);
    expect(server.heard.events).toEqual(['end']);
  });

  withLink('what comes to a destroyed client is answered with a reset', async (stage, { client, server }) => {
    client.socket.destroy();
    await stage.until('end', has(server, 'end'));
    server.send('anybody?');
    await stage.settled();
    server.send('nobody?');
    await stage.settled();
    server.send('a write finds the reset');
    await stage.until('reset', has(server, 'reset'));
    expect(server.heard.events).toEqual(['end', 'reset']);
  });

  withLink('a client destroyed with unread bytes resets', async (stage, { client, server }) => {
    client.socket.pause();
    server.send(Buffer.alloc(1024 * 1024));
    await stage.until('a first part', () => client.socket.readableLength > 0);
    await stage.settled();
    client.socket.destroy();
    await stage.until('reset', has(server, 'reset'));
    expect(server.heard.events).toEqual(['reset']);
  });

  withLink('the client resets', async (stage, { client, server }) => {
    client.socket.resetAndDestroy();
    await stage.until('reset', has(server, 'reset'));
    await stage.until('close', over(client));
    expect(client.heard.events).toEqual(['close false']);
    expect(server.heard.events).toEqual(['reset']);
  });

  withLink('bytes, then the client resets', async (stage, { client, server }) => {
    client.socket.write('some');
    client.socket.resetAndDestroy();
    await stage.until('end', () => server.heard.events.length === 2);
    expect(server.heard.events).toEqual(['data', 'end']);
  });

  withLink('write after the end that the peer brought', async (stage, { client, server }) => {
    const answers: unknown[] = [];
    client.socket.on('end', () => {
      setImmediate(() => {
        client.socket.write('late', error => answers.push((error as NodeJS.ErrnoException).code));
      });
    });
    server.end();
    await stage.until('the callback', () => answers.length === 1);
    await stage.until('close', over(client));
    expect(answers).toEqual(['EPIPE']);
    expect(client.heard.events.slice(0, 2)).toEqual(['end', 'finish']);
  });

  withLink('write after an end of its own', async (stage, { client }) => {
    client.socket.end();
    client.socket.write('late');
    await stage.until('close', over(client));
    expect(client.heard.events[0]).toBe('error: write after end ');
  });

  withLink(
    'a half-open client writes to a server that has gone',
    async (stage, { client, server }) => {
      server.close();
      await stage.until('end', has(client, 'end'));
      client.socket.write('first');
      await stage.settled();
      client.socket.write('second');
      await stage.settled();
      expect(client.heard.events).toEqual(['end']);
      // After an end nobody reads a reset: first the proxy finds one by writing, then the client.
      client.socket.write('third');
      await stage.until('close', over(client));
      expect(client.heard.events).toEqual(['end', 'error: write EPIPE -32', 'close true']);
    },
    { allowHalfOpen: true },
  );

  withLink('setTimeout: once per pause, and traffic puts it off', async (stage, { client, server }) => {
    let early = false;
    client.socket.setTimeout(250, () => client.heard.note('callback'));
    const startMs = stage.nowMs();
    while (stage.nowMs() < startMs + 400) {
      server.send('.');
      await stage.sleepMs(5);
      early ||= client.heard.events.includes('timeout');
    }
    await stage.until('timeout', has(client, 'timeout'));
    expect(early).toBe(false);
    expect(client.heard.events).toEqual(['data', 'timeout', 'callback']);
    server.send('.');
    await stage.until('again', () => client.heard.events.filter(event => event === 'timeout').length === 2);
    client.socket.setTimeout(0);
    expect(client.heard.events).toEqual(['data', 'timeout', 'callback', 'data', 'timeout']);
  });
});
