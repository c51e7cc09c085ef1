import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import type { Guardian } from '../guardian/guardian.ts';
import type { FirewallControl, PacketLoss } from './world.ts';

export interface OpenFirewall {
  clock: Clock;
  guardian: Pick<Guardian, 'addTable' | 'cookie'>;
  /** The only port of which packets are ever touched, on loopback. */
  port: number;
}

/** How long the kernel goes on dropping when nobody refreshes it any more. */
const deadMansMs = 5_000;
const refreshMs = 1_000;
const nftLimitMs = 4_000;

/** Why the kernel's firewall cannot be used here, or null. */
export function packetLossLack(): string | null {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  const { status, stderr, error } = spawnSync('nft', ['list', 'tables'], {
    encoding: 'utf8',
    timeout: nftLimitMs,
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    return 'needs nft (the package nftables), which is not on PATH';
  if (status === 0) return null;
  return /not permitted|must be root/i.test(stderr)
    ? 'needs root or CAP_NET_ADMIN'
    : `needs nftables, which do not work here: ${error?.message ?? stderr.trim().split('\n')[0]}`;
}

/** All or nothing, as one transaction. */
function nft(commands: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile('nft', ['-f', '-'], { timeout: nftLimitMs }, (error, _out, said) =>
      error ? reject(new Error(`nft: ${said.trim().split('\n')[0] || error.message}`)) : resolve(),
    );
    child.stdin!.on('error', () => {});
    child.stdin!.end(commands);
  });
}

/** Client ports of the connections that exist at a port of 127.0.0.1, as /proc/net/tcp lists them. */
export function clientPortsOf(port: number, table = readFileSync('/proc/net/tcp', 'latin1')): number[] {
  const established = '01';
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = table.split('\n').map(line => line.trim().split(/\s+/));
  return lines
    .filter(([, from, , state]) => from === local && state === established)
    .map(([, , to]) => Number.parseInt(to!.split(':')[1]!, 16));
}

interface Drop {
  /** What makes it: a set and a chain of its own. */
  begin: string;
  /** Puts the set's elements in anew: an element's timeout cannot be set again in older kernels. */
  refresh: string;
  end: string;
}

/** The elements are the client's ports, or the listening port. */
function dropOf(table: string, n: number, port: number, { which, direction }: PacketLoss): Drop {
  const [set, chain] = [`ip ${table} ports${n}`, `ip ${table} drop${n}`];
  const ports = which === 'all' ? [port] : clientPortsOf(port);
  const elements = `{ ${ports.map(each => `${each} timeout ${deadMansMs / 1000}s`).join(', ')} }`;
  const bare = `{ ${ports.join(', ')} }`;
  const rule = (ours: 'dport' | 'sport', theirs: 'dport' | 'sport') =>
    `add rule ${chain} iif lo tcp ${ours} ${port} tcp ${which === 'all' ? ours : theirs} @ports${n} drop\n`;
  const add = ports.length === 0 ? '' : `add element ${set} ${elements}\n`;
  const begin = [
    `add table ip ${table}\n`,
    `add set ${set} { type inet_service; flags timeout; }\n`,
    add,
    `add chain ${chain} { type filter hook input priority -300; policy accept; }\n`,
    direction === 'down' ? '' : rule('dport', 'sport'),
    direction === 'up' ? '' : rule('sport', 'dport'),
  ];
  return {
    begin: begin.join(''),
    refresh: add === '' ? '' : `${add}delete element ${set} ${bare}\n${add}`,
    end: `delete chain ${chain}\ndelete set ${set}\n`,
  };
}

/** One table a world, made with its first drop. */
export function openFirewall({ clock, guardian, port }: OpenFirewall): FirewallControl & {
  close(): Promise<void>;
} {
  const table = `poolsoak_${guardian.cookie.slice(0, 12)}${port.toString(16).padStart(4, '0')}`;
  const active = new Set<() => void>();
  let count = 0;
  const removeTable = async (): Promise<void> => {
    for (const stop of active) stop();
    active.clear();
    if (count > 0) await nft(`add table ip ${table}\ndelete table ip ${table}\n`);
    count = 0;
  };
  return {
    async drop(loss) {
      if (count === 0) guardian.addTable(table);
      count += 1;
      const { begin, refresh, end } = dropOf(table, count, port, loss);
      await nft(begin);
      const refresher = refreshing(clock, refresh);
      active.add(refresher.stop);
      return async () => {
        active.delete(refresher.stop);
        refresher.stop();
        await (active.size === 0 ? removeTable() : nft(end));
        refresher.rethrow();
      };
    },
    close: removeTable,
  };
}

/** In this process, and so gone with it. */
function refreshing(clock: Clock, commands: string): { stop(): void; rethrow(): void } {
  let failed: Error | null = null;
  let stopped = false;
  const note = (error: Error) => {
    if (!stopped) failed ??= error;
  };
  const stop = commands === '' ? () => {} : clock.every(refreshMs, () => void nft(commands).catch(note));
  return {
    stop() {
      stopped = true;
      stop();
    },
    rethrow() {
      if (failed) throw new Error(`packets were not lost for all of the time: ${failed.message}`);
    },
  };
}
