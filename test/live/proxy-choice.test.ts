import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { poolsoak, scenarioFile } from '../fixtures/command.ts';
import { LiveRun } from '../fixtures/live-run.ts';
import { removeTempFolders, tempFolder } from '../fixtures/soak-it.ts';
import { story } from '../fixtures/story.ts';

afterAll(removeTempFolders);

describe('a proxy that cannot be had is refused before anything starts', () => {
  it.each([
    ['no kind of proxy', 'squid', /--proxy: is "squid"; must be embedded, or toxiproxy=URL/],
    ['a host that is not loopback', 'toxiproxy=http://10.0.0.1:8474', /an http URL on loopback/],
    ['a URL that is none', 'toxiproxy=8474', /an http URL on loopback/],
  ])('%s: 64', (_what, proxy, message) => {
    const { status, stderr } = poolsoak(['run', scenarioFile(story()), '--proxy', proxy]);
    expect(stderr).toMatch(message);
    expect(status).toBe(64);
  });

  it('in virtual time: 64, with the reason', () => {
    const proxy = 'toxiproxy=http://127.0.0.1:8474';
    const { status, stderr } = poolsoak(['run', scenarioFile(story()), '--virtual', '--proxy', proxy]);
    expect(stderr).toMatch(/--proxy toxiproxy cannot run with --virtual: a Toxiproxy is a real process/);
    expect(status).toBe(64);
  });

  it('nobody there: 69, with how to get one, and nothing was made', () => {
    const out = join(tempFolder(), 'out');
    const { status, stderr } = poolsoak([
      'run',
      scenarioFile(story()),
      '--out',
      out,
      '--proxy',
      'toxiproxy=http://127.0.0.1:1',
    ]);
    expect(stderr).toMatch(/^poolsoak: --proxy: no Toxiproxy at http:\/\/127\.0\.0\.1:1: .*; start one with/);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(status).toBe(69);
  });

  it.each([
    ['no Toxiproxy', '<html>', /no Toxiproxy/],
    ['one that is too old', '2.1.4', /is 2\.1\.4, older than 2\.9/],
  ])('%s: 69', async (_what, answer, message) => {
    const server = createServer((_request, response) => void response.end(answer));
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const run = new LiveRun(scenarioFile(story()), undefined, [
      '--proxy',
      `toxiproxy=http://127.0.0.1:${port}`,
    ]);
    expect(await run.ended).toBe(69);
    expect(run.stderr).toMatch(message);
    server.close();
  });
});
