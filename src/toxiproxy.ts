import { connect, isIPv4 } from 'node:net';
import { Toxiproxy } from 'toxiproxy-node-client';

/** A toxic as the API takes it. */
export interface ToxicBody {
  name: string;
  type: string;
  stream: 'upstream' | 'downstream';
  toxicity: number;
  attributes: Record<string, unknown>;
}

/**
 * What is used of Toxiproxy's HTTP API. Every call rejects after 5 s; one on a connection that turned out dead is
 * made once more, but for those that make something.
 */
export interface ToxiproxyApi {
  url: string;
  version(): Promise<string>;
  names(): Promise<string[]>;
  /** The port it listens at. */
  createProxy(proxy: { name: string; listen: string; upstream: string }): Promise<number>;
  enable(proxy: string, enabled: boolean): Promise<void>;
  /** Gone already is as good. */
  removeProxy(proxy: string): Promise<void>;
  addToxic(proxy: string, toxic: ToxicBody): Promise<void>;
  removeToxic(proxy: string, toxic: string): Promise<void>;
}

const callLimitMs = 5_000;
/** What the client says when a request went wrong on its way, whatever it was. */
const noFetch = 'fetch failed';

/** An answer that is no success. */
export class ApiAnswer extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The URL without a slash at its end, or null when it is no http URL of this machine's loopback. */
export function loopbackUrl(text: string): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const { protocol, hostname, port, pathname, search, hash, username, password } = url;
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
  const bare = pathname === '/' && `${search}${hash}${username}${password}` === '';
  if (protocol !== 'http:' || !loopback || !bare || (/^127/.test(hostname) && !isIPv4(hostname))) return null;
  return `http://${hostname}:${port === '' ? '80' : port}`;
}

/** "http://127.0.0.1:8474" -> the API there, by the client that users have. */
export function toxiproxyAt(url: string): ToxiproxyApi {
  const client = new Toxiproxy(url);
  const http = client.getApi();
  const at = (...parts: string[]) => [url, ...parts.map(encodeURIComponent)].join('/');
  const once = <T>(ask: () => Promise<T>) => limited(url, ask);
  /** A connection kept from before may be dead: whether the server is there a new one tells. */
  const twice = <T>(ask: () => Promise<T>) =>
    once(ask).catch((error: Error) => (error.message === noFetch ? once(ask) : Promise.reject(error)));
  const remove = (...parts: string[]) => twice(() => http.delete(at(...parts)));
  return {
    url,
    version: async () => versionIn(await twice(() => client.getVersion())),
    names: async () => Object.keys(await twice(() => client.getAll())),
    async createProxy(proxy) {
      const { listen } = await once(() => client.createProxy({ ...proxy, enabled: true }));
      return Number(listen.split(':').at(-1));
    },
    enable: async (proxy, enabled) => void (await once(() => http.post(at('proxies', proxy), { enabled }))),
    async removeProxy(proxy) {
      await remove('proxies', proxy).catch(error => {
        if (!(error instanceof ApiAnswer) || error.status !== 404) throw error;
      });
    },
    addToxic: async (proxy, toxic) =>
      void (await once(() => http.post(at('proxies', proxy, 'toxics'), toxic))),
    removeToxic: (proxy, toxic) => remove('proxies', proxy, 'toxics', toxic),
  };
}

/** JSON since 2.6; bare text before. */
function versionIn(text: string): string {
  try {
    return String((JSON.parse(text) as { version?: unknown }).version);
  } catch {
    return text.trim();
  }
}

/** The client has no limit of its own, and its errors name neither the place nor why there was no answer. */
async function limited<T>(url: string, ask: () => Promise<T>): Promise<T> {
  const late = new Promise<never>((_resolve, reject) => {
    const noAnswer = () => reject(new Error(`no answer within ${callLimitMs} ms`));
    AbortSignal.timeout(callLimitMs).addEventListener('abort', noAnswer);
  });
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    const { message } = error as Error;
    const [, status] = /status code (\d+)$/.exec(message) ?? [];
    if (status !== undefined) throw new ApiAnswer(Number(status), `it answered ${status}`);
    throw message === noFetch ? await whyNot(url, error) : error;
  }
}

/** What a connection to it says; the first error when it can be had by now. */
function whyNot(url: string, first: unknown): Promise<unknown> {
  const { hostname, port } = new URL(url);
  const signal = AbortSignal.timeout(callLimitMs);
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80), signal });
  return new Promise(resolve => {
    socket.once('connect', () => resolve(first)).once('error', resolve);
  }).finally(() => socket.destroy());
}
