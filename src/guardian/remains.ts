import { spawnSync } from 'node:child_process';
import { ApiAnswer, loopbackUrl, type ToxiproxyApi, toxiproxyAt } from '../toxiproxy.ts';
import type { JournalEntry } from './journal.ts';

/** What a run made outside of its processes and folders, and what of it would not go. */
export interface Remains {
  removed: number;
  left: string[];
}

const nftLimitMs = 5_000;
const rounds = 20;

/** Every proxy of these names on a Toxiproxy that others may use too. How many there were. */
export async function removeProxies(api: ToxiproxyApi, prefix: string): Promise<number> {
  let removed = 0;
  // One may be made while we look: its maker's last request, sent just before the maker ended.
  for (let round = 0; round < rounds; round += 1) {
    const ours = (await api.names()).filter(name => name.startsWith(prefix));
    if (ours.length === 0) return removed;
    await Promise.all(ours.map(name => api.removeProxy(name)));
    removed += ours.length;
  }
  throw new Error(`proxies ${prefix}* come again and again`);
}

/** A server that is gone took its proxies along. */
const isGone = (error: unknown): boolean =>
  !(error instanceof ApiAnswer) && (error as { code?: string }).code === 'ECONNREFUSED';

async function cleanToxiproxy({ url, prefix }: { url: string; prefix: string }): Promise<Remains> {
  // They come from a file: nothing but what a run of ours can have written.
  if (loopbackUrl(url) === null || !/^poolsoak-[\w-]{8,}-$/.test(prefix)) return { removed: 0, left: [] };
  try {
    return { removed: await removeProxies(toxiproxyAt(url), prefix), left: [] };
  } catch (error) {
    if (isGone(error)) return { removed: 0, left: [] };
    return { removed: 0, left: [`proxies ${prefix}* at ${url} (${(error as Error).message})`] };
  }
}

function cleanTable(table: string): Remains {
  if (!/^poolsoak_[0-9a-f]+$/.test(table)) return { removed: 0, left: [] };
  const options = { encoding: 'utf8', timeout: nftLimitMs } as const;
  const { status, stderr, error } = spawnSync('nft', ['delete', 'table', 'ip', table], options);
  if (status === 0) return { removed: 1, left: [] };
  if (stderr?.includes('No such file or directory')) return { removed: 0, left: [] };
  return { removed: 0, left: [`firewall table ${table} (${error?.message ?? stderr.split('\n')[0]})`] };
}

/** Proxies on a Toxiproxy and tables of the kernel's firewall, by the journal. */
export async function removeRemains(entries: readonly JournalEntry[]): Promise<Remains> {
  const all: Remains = { removed: 0, left: [] };
  const add = ({ removed, left }: Remains) => {
    all.removed += removed;
    all.left.push(...left);
  };
  for (const entry of entries) {
    if (entry.k === 'toxiproxy') add(await cleanToxiproxy(entry));
    if (entry.k === 'nft') add(cleanTable(entry.table));
  }
  return all;
}
