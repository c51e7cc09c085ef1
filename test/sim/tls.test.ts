import { readFileSync } from 'node:fs';
import net from 'node:net';
import { resolve } from 'node:path';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../src/random.ts';
import { install } from '../../src/sim/globals.ts';
import { type Drive, VirtualLoop } from '../../src/sim/loop.ts';
import { network as model } from '../../src/sim/model.ts';
import type { ServerEnd, ServerHears } from '../../src/sim/net/contract.ts';
import { Network } from '../../src/sim/net/network.ts';
import { socketsOf } from '../../src/sim/sockets.ts';

/** A self-signed pair for these tests alone. */
const file = (name: string) => readFileSync(resolve(import.meta.dirname, 'fixtures', name));
const [key, cert] = [file('localhost.key'), file('localhost.crt')];

/** The server's end as a stream, with TLS on it: answers every chunk. */
function answering(end: ServerEnd): ServerHears {
  const raw = new Duplex({
    read: () => {},
    write(chunk, _encoding, done) {
      end.send(chunk);
      done();
    },
  });
  const secure = new tls.TLSSocket(raw, { isServer: true, key, cert });
  secure.on('data', chunk => secure.write(`you said ${chunk}`));
  secure.on('error', () => {});
  return { data: chunk => raw.push(chunk), end: () => raw.push(null), reset: () => raw.destroy() };
}

interface Seen {
  text: string;
  atMs: number;
}

async function talk(drive: Drive): Promise<Seen[]> {
  const loop = new VirtualLoop({ drive });
  const random = seeded('tls');
  const network = new Network({ loop, random, model, kind: 'userspace', killed: () => {} });
  const uninstall = install({ loop, random, ...socketsOf({ network, killed: () => {} }) });
  const seen: Seen[] = [];
  try {
    await loop.run(async () => {
      network.listen(5432, answering);
      // Were the clock not held, it would run away under the handshake.
      const ticking = setInterval(() => {}, 1);
      const socket = net.connect(5432, '127.0.0.1');
      const secure = tls.connect({ socket, rejectUnauthorized: false });
      secure.write('hello');
      await new Promise<void>(done => {
        secure.on('data', text => {
          seen.push({ text: String(text), atMs: loop.nowMs });
          if (seen.length === 3) done();
          else secure.write(`and ${seen.length}`);
        });
      });
      secure.destroy();
      clearInterval(ticking);
    });
  } finally {
    uninstall();
  }
  return seen;
}

describe('TLS, between its own turns of the real loop', () => {
  it('holds the clock, and takes the same virtual time however that is driven', async () => {
    const seen = await talk('burst');
    expect(seen.map(({ text }) => text)).toEqual(['you said hello', 'you said and 1', 'you said and 2']);
    // Nine or so hops of 0.03 ms.
    expect(seen[2]!.atMs).toBeLessThan(2);
    expect(await talk('single')).toEqual(seen);
    expect(await talk('burst')).toEqual(seen);
  });
});
