import { ApiAnswer, type ToxiproxyApi } from '../../toxiproxy.ts';
import { freePort } from '../port.ts';
import type { ProxyControl } from '../world.ts';
import { call, type FaultProxy, host, type OpenProxy } from './proxy.ts';
import { borrow, checkReachable } from './toxiproxy.ts';

const portTries = 5;

function controlOf(api: ToxiproxyApi, name: string, options: OpenProxy, gone: () => void): ProxyControl {
  const { clock } = options;
  return {
    addToxic: (toxic, type, attributes, stream = 'downstream') =>
      call(
        clock,
        `add toxic ${toxic} (${type})`,
        api.addToxic(name, { name: toxic, type, stream, toxicity: 1, attributes }),
      ),
    removeToxic: toxic => call(clock, `remove toxic ${toxic}`, api.removeToxic(name, toxic)),
    async cut() {
      gone();
      await call(clock, 'cut its links', api.removeProxy(name));
    },
  };
}

/**
 * Below the ports the kernel gives to clients: while the proxy is disabled nobody else shall be given its port.
 */
async function createProxy(api: ToxiproxyApi, name: string, upstreamPort: number): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const listen = `${host}:${await freePort()}`;
    try {
      return await api.createProxy({ name, listen, upstream: `${host}:${upstreamPort}` });
    } catch (error) {
      // A port that is taken; the client does not pass on what the server said.
      const taken = error instanceof ApiAnswer && error.status === 500;
      if (!taken || tries === portTries) throw error;
    }
  }
}

/** One proxy on a stock Toxiproxy, which all connections share. */
export async function openStock(url: string, options: OpenProxy): Promise<FaultProxy> {
  const { clock, upstreamPort } = options;
  const borrowed = borrow(url, options);
  const { api, prefix, close } = borrowed;
  const name = `${prefix}database`;
  let there = true;
  const enable = async (enabled: boolean): Promise<void> => {
    if (there) await call(clock, `be ${enabled ? 'enabled' : 'disabled'}`, api.enable(name, enabled));
  };
  try {
    const version = await checkReachable(borrowed, clock);
    const port = await call(clock, 'open its proxy', createProxy(api, name, upstreamPort));
    const gone = () => {
      there = false;
    };
    return {
      control: controlOf(api, name, options, gone),
      host,
      port,
      version,
      provides: ['latency'],
      // It would accept and then close: users of a database that is away see a refusal.
      serverGone: () => enable(false),
      serverBack: () => enable(true),
      close,
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}
