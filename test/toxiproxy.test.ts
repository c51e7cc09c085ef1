import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loopbackUrl, type ToxiproxyApi, toxiproxyAt } from '../src/toxiproxy.ts';
import { parseProxy } from '../src/world/proxies/proxy.ts';

describe('a URL of this machine', () => {
  it.each([
    ['http://127.0.0.1:8474', 'http://127.0.0.1:8474'],
    ['http://127.0.0.1:8474/', 'http://127.0.0.1:8474'],
    ['http://127.9.9.9:1', 'http://127.9.9.9:1'],
    ['http://localhost:8474', 'http://localhost:8474'],
    ['http://LOCALHOST', 'http://localhost:80'],
    ['http://[::1]:8474', 'http://[::1]:8474'],
    // As every client reads it.
    ['http://0x7f.1:8474', 'http://127.0.0.1:8474'],
  ])('%s', (given, url) => expect(loopbackUrl(given)).toBe(url));

  it.each([
    'http://10.0.0.1:8474',
    'http://127.0.0.1.example.com:8474',
    'http://127.example.com',
    'http://localhost.example.com',
    'http://user@127.0.0.1:8474',
    'http://127.0.0.1:8474@example.com',
    'http://127.0.0.1:8474/proxies',
    'http://127.0.0.1:8474?x',
    'https://127.0.0.1:8474',
    'http://0.0.0.0:8474',
    '127.0.0.1:8474',
    '8474',
    '',
  ])('none: %s', given => expect(loopbackUrl(given)).toBeNull());
});

it('a proxy as the command line names it', () => {
  expect(parseProxy('embedded')).toEqual({ kind: 'embedded' });
  expect(parseProxy('toxiproxy=http://127.0.0.1:8474/')).toEqual({
    kind: 'toxiproxy',
    url: 'http://127.0.0.1:8474',
  });
  for (const text of ['', 'toxiproxy', 'toxiproxy=', 'embedded=1', 'Embedded'])
    expect(parseProxy(text)).toBeNull();
});

describe('a server that does not do as it is told', () => {
  async function asked(answer: RequestListener): Promise<{ api: ToxiproxyApi; requests: string[] }> {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(request.method!);
      answer(request, response);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { api: toxiproxyAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), requests };
  }
  const proxy = { name: 'a', listen: '127.0.0.1:0', upstream: '127.0.0.1:1' };

  it('an error of its own is told with its status, and asked for once', async () => {
    const { api, requests } = await asked((_request, response) => response.writeHead(500).end());
    await expect(api.names()).rejects.toMatchObject({ status: 500, message: 'it answered 500' });
    expect(requests).toEqual(['GET']);
  });

  it('a connection that dies is tried again, unless something was to be made', async () => {
    const { api, requests } = await asked(request => request.socket.destroy());
    await expect(api.removeToxic('a', 'b')).rejects.toThrow('fetch failed');
    expect(requests).toEqual(['DELETE', 'DELETE']);
    await expect(api.createProxy(proxy)).rejects.toThrow('fetch failed');
    expect(requests).toEqual(['DELETE', 'DELETE', 'POST']);
  });

  it('one that never answers is given up after 5 s, once', async () => {
    const { api, requests } = await asked(() => {});
    await expect(api.version()).rejects.toThrow('no answer within 5000 ms');
    expect(requests).toEqual(['GET']);
  });

  it('nobody there: the reason is told', async () => {
    await expect(toxiproxyAt('http://127.0.0.1:1').version()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
