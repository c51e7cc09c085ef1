import { describe, expect, it } from 'vitest';
import { loopbackUrl } from '../src/toxiproxy.ts';
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
