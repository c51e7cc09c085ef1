import { connect } from 'node:net';
import { type Clock, within } from '../../clock.ts';
import { removeProxies } from '../../guardian/remains.ts';
import { unguessable } from '../../random.ts';
import { type ToxiproxyApi, toxiproxyAt } from '../../toxiproxy.ts';
import { MissingError } from '../world.ts';
import { host, type OpenProxy } from './proxy.ts';

/** A stock Toxiproxy that is there already and that others may use: only what bears our names is ours. */
export interface Borrowed {
  api: ToxiproxyApi;
  /** How the names of all our proxies on it begin. */
  prefix: string;
  /** Removes them. */
  close(): Promise<void>;
}

const oldest = [2, 9] as const;
const dialLimitMs = 2_000;
const beatMs = 1_000;
const beatsMissedMax = 3;
const howToGet =
  'start one with "toxiproxy-server" (https://github.com/Shopify/toxiproxy/releases), or leave out --proxy';

/** Its version when it is a Toxiproxy that will do. */
export async function toxiproxyVersion(url: string): Promise<string> {
  const version = await toxiproxyAt(url)
    .version()
    .catch(error => {
      throw new MissingError(`--proxy: no Toxiproxy at ${url}: ${(error as Error).message}; ${howToGet}`);
    });
  const parts = /^v?(\d+)\.(\d+)/.exec(version);
  if (!parts) throw new MissingError(`--proxy: what answers at ${url} is no Toxiproxy; ${howToGet}`);
  const [major, minor] = [Number(parts[1]), Number(parts[2])];
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return version;
  throw new MissingError(
    `--proxy: the Toxiproxy at ${url} is ${version}, older than ${oldest.join('.')}; ${howToGet}`,
  );
}

/** Journaled before anything is made on it, watched while it is used. */
export function borrow(url: string, { clock, guardian, trial, lost }: OpenProxy): Borrowed {
  const api = toxiproxyAt(url);
  const prefix = `poolsoak-${trial}-${unguessable(4)}-`;
  guardian.addProxies(url, prefix);
  const stopWatch = watch(api, clock, lost);
  return {
    api,
    prefix,
    async close() {
      stopWatch();
      await removeProxies(api, prefix).catch(error => {
        // Gone, and its proxies with it: that it was lost is told already.
        if ((error as { code?: string }).code !== 'ECONNREFUSED') throw error;
      });
    },
  };
}

/** It is no child of ours, so nobody tells when it ends. */
function watch(api: ToxiproxyApi, clock: Clock, lost: (detail: string) => void): () => void {
  let missed = 0;
  let asking = false;
  let open = true;
  const beat = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    const failed = await api.version().then(
      () => null,
      error => error as Error,
    );
    asking = false;
    missed = failed ? missed + 1 : 0;
    if (missed !== beatsMissedMax || !open) return;
    lost(`the Toxiproxy at ${api.url} does not answer: ${failed!.message}`);
  };
  const stop = clock.every(beatMs, () => void beat());
  return () => {
    open = false;
    stop();
  };
}

/** Its version. One that runs in a container answers on a port of this machine, but its proxies listen elsewhere. */
export async function checkReachable({ api, prefix }: Borrowed, clock: Clock): Promise<string> {
  const name = `${prefix}check`;
  const port = await api.createProxy({ name, listen: `${host}:0`, upstream: `${host}:1` });
  const socket = connect({ host, port });
  const answer = new Promise<boolean>(resolve => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  const reached = await within(clock, dialLimitMs, answer, false);
  socket.destroy();
  await api.removeProxy(name);
  if (reached) return api.version();
  throw new MissingError(
    `--proxy: the Toxiproxy at ${api.url} does not listen on this machine's ${host} (in a container?): ${howToGet}`,
  );
}
