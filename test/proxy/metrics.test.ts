import { expect, onTestFinished, test } from 'vitest';
import { startProxyServer } from '../../src/proxy/server.ts';
import { driver, linked, proxyServer, upstream } from './helpers.ts';

async function withMetrics(metrics: { proxy: boolean; runtime: boolean }) {
  const server = await startProxyServer({ host: '127.0.0.1', port: 0, seed: 's', emit: () => {}, metrics });
  onTestFinished(() => server.close());
  return driver(`http://127.0.0.1:${server.port}`);
}

test('without a flag there is no such page, as in Toxiproxy', async () => {
  const { call } = await proxyServer();
  expect(await call('GET', '/metrics')).toMatchObject({ status: 404, text: '404 page not found\n' });
});

test('bytes are counted while connections are open, and when they are over', async () => {
  const { proxy, call, url } = await withMetrics({ proxy: true, runtime: false });
  const up = await upstream();
  const { port } = await proxy(up.port, { name: 'a "quoted" one' });
  const { client, server } = await linked(port, up);
  const seen = async () => (await call('GET', '/metrics')).text;
  const labels = (direction: string) =>
    `{direction="${direction}",listener="127.0.0.1:${port}",proxy="a \\"quoted\\" one",upstream="127.0.0.1:${up.port}"}`;
  const bytes = (what: string, upstreamBytes: number) =>
    `# TYPE toxiproxy_proxy_${what}_bytes_total counter
toxiproxy_proxy_${what}_bytes_total${labels('upstream')} ${upstreamBytes}
toxiproxy_proxy_${what}_bytes_total${labels('downstream')} 2
`;
  for (const what of ['received', 'sent']) expect(await seen()).toContain(bytes(what, 2));
  expect(await seen()).toContain('poolsoak_proxy_connections{proxy="a \\"quoted\\" one"} 1\n');
  client.socket.end('bye');
  server.socket.end();
  while (!(await seen()).includes('poolsoak_proxy_connections{proxy="a \\"quoted\\" one"} 0\n'));
  for (const what of ['received', 'sent']) expect(await seen()).toContain(bytes(what, 5));
  expect(await seen()).toContain('poolsoak_proxy_accepted_total{proxy="a \\"quoted\\" one"} 1\n');
  expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toMatch(
    /^text\/plain; version=0\.0\.4/,
  );
});

test('what a toxic swallows was received and not sent; who it killed is counted', async () => {
  const { proxy, call } = await withMetrics({ proxy: true, runtime: true });
  const up = await upstream();
  const { port, add } = await proxy(up.port);
  const { client } = await linked(port, up);
  await add({ type: 'limit_data', stream: 'upstream', attributes: { bytes: 1 } });
  client.socket.write('abc');
  await client.saw('end');
  const { text } = await call('GET', '/metrics');
  expect(text).toMatch(/received_bytes_total\{direction="upstream".*\} 5\n/);
  expect(text).toMatch(/sent_bytes_total\{direction="upstream".*\} 3\n/);
  expect(text).toContain('poolsoak_proxy_kills_total{how="fin",proxy="p"} 1\n');
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
});
