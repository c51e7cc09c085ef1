import { isIPv4 } from 'node:net';

/** A toxic as the API takes it. */
export interface ToxicBody {
  name: string;
  type: string;
  stream: 'upstream' | 'downstream';
  toxicity: number;
  attributes: Record<string, unknown>;
}

/** What is used of Toxiproxy's HTTP API. Every call rejects after 5 s, with the server's own words where it has some. */
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
const brokenSocket = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'];

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

/** "http://127.0.0.1:8474" -> the API there. */
export function toxiproxyAt(url: string): ToxiproxyApi {
  const at = (...parts: string[]) => `/${parts.map(encodeURIComponent).join('/')}`;
  const ask = (method: string, path: string, body?: object) =>
    call(url, method, path, body).catch(error => {
      // A connection kept from before may be dead: whether the server is there a new one tells.
      const again = method !== 'POST' && brokenSocket.includes((error as { code?: string }).code ?? '');
      return again ? call(url, method, path, body) : Promise.reject(error);
    });
  return {
    url,
    version: async () => versionIn(await ask('GET', '/version')),
    names: async () => Object.keys(JSON.parse(await ask('GET', '/proxies')) as object),
    async createProxy(proxy) {
      const made = JSON.parse(await ask('POST', '/proxies', { ...proxy, enabled: true })) as {
        listen: string;
      };
      return Number(made.listen.split(':').at(-1));
    },
    // POST and not PATCH, which is newer and does the same.
    enable: async (proxy, enabled) => void (await ask('POST', at('proxies', proxy), { enabled })),
    async removeProxy(proxy) {
      await ask('DELETE', at('proxies', proxy)).catch(error => {
        if (!(error instanceof ApiAnswer) || error.status !== 404) throw error;
      });
    },
    addToxic: async (proxy, toxic) => void (await ask('POST', at('proxies', proxy, 'toxics'), toxic)),
    removeToxic: async (proxy, toxic) => void (await ask('DELETE', at('proxies', proxy, 'toxics', toxic))),
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

async function call(url: string, method: string, path: string, body?: object): Promise<string> {
  const sent = body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {};
  const signal = AbortSignal.timeout(callLimitMs);
  let status: number;
  let text: string;
  try {
    const answer = await fetch(`${url}${path}`, { method, signal, redirect: 'error', ...sent });
    status = answer.status;
    text = await answer.text();
  } catch (error) {
    // fetch says "fetch failed" and hides why in the cause.
    const { cause, name, message } = error as Error & { cause?: Error & { code?: string } };
    const why = name === 'TimeoutError' ? `no answer within ${callLimitMs} ms` : null;
    throw Object.assign(new Error(why ?? cause?.message ?? message, { cause: error }), { code: cause?.code });
  }
  if (status >= 400) throw new ApiAnswer(status, `${status} ${errorIn(text)}`.trim());
  return text;
}

function errorIn(text: string): string {
  try {
    return String((JSON.parse(text) as { error?: unknown }).error);
  } catch {
    return text.trim().slice(0, 200);
  }
}
