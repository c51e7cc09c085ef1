import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { unguessable } from '../random.ts';

const tries = 50;
const lowest = 15_000;

/**
 * Below the ports the kernel gives to clients. In their range a client that keeps trying a stopped server's
 * port may be given that very port as its own, connect to itself and hold the server's place.
 */
function highest(): number {
  try {
    const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10);
    return first > lowest + 1_000 ? first : 0;
  } catch {
    return 32_768;
  }
}

/** The port when it is free on 127.0.0.1, else null. 0: any free one. */
function tryPort(port: number): Promise<number | null> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => {
      const taken = server.address();
      server.close(() => resolve(typeof taken === 'object' && taken ? taken.port : null));
    });
  });
}

/** A port on 127.0.0.1 that is free now. It may be taken before it is used: then ask again. */
export async function freePort(): Promise<number> {
  const top = highest();
  for (let i = 0; i < tries && top > 0; i++) {
    const drawn = lowest + (Number.parseInt(unguessable(4), 16) % (top - lowest));
    const port = await tryPort(drawn);
    if (port !== null) return port;
  }
  const port = await tryPort(0);
  if (port === null) throw new Error('no free port on 127.0.0.1');
  return port;
}
