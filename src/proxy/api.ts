import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ApiError, badBody } from './api-error.ts';
import { type Body, objectOf } from './fields.ts';
import { toxicJson } from './installed-toxic.ts';
import type { Proxies } from './proxies.ts';

/** Far above any real request. */
export const bodyBytesMax = 1024 * 1024;

/** The Toxiproxy whose API this is, and who speaks it. */
export const apiVersion = '2.12.0+poolsoak';

interface Answer {
  status: number;
  json?: unknown;
}

type Handler = (proxies: Proxies, path: string[], body: () => Promise<Body>) => Answer | Promise<Answer>;

interface Route {
  /** `*` is a name, handed on in order. */
  path: string;
  methods: Record<string, Handler>;
}

const ok = (json: unknown): Answer => ({ status: 200, json });
const done: Answer = { status: 204 };

const updateProxy: Handler = async (proxies, [proxy], body) =>
  ok((await proxies.update(proxies.get(proxy!).name, await body())).json());
const updateToxic: Handler = async (proxies, [proxy, toxic], body) => {
  proxies.get(proxy!).toxic(toxic!);
  const sent = await body();
  return ok(toxicJson(proxies.get(proxy!).updateToxic(toxic!, sent)));
};

const routes: Route[] = [
  { path: 'version', methods: { GET: () => ok({ version: apiVersion }) } },
  {
    path: 'reset',
    methods: {
      POST: async proxies => {
        await proxies.reset();
        return done;
      },
    },
  },
  {
    path: 'proxies',
    methods: {
      GET: proxies => ok(Object.fromEntries(proxies.all().map(proxy => [proxy.name, proxy.json()]))),
      POST: async (proxies, _path, body) => ({
        status: 201,
        json: (await proxies.create(await body())).json(),
      }),
    },
  },
  {
    path: 'proxies/*',
    methods: {
      GET: (proxies, [proxy]) => ok(proxies.get(proxy!).json()),
      POST: updateProxy,
      PATCH: updateProxy,
      DELETE: async (proxies, [proxy]) => {
        await proxies.remove(proxy!);
        return done;
      },
    },
  },
  {
    path: 'proxies/*/toxics',
    methods: {
      GET: (proxies, [proxy]) => ok(proxies.get(proxy!).toxics().map(toxicJson)),
      POST: async (proxies, [proxy], body) => {
        proxies.get(proxy!);
        const sent = await body();
        return ok(toxicJson(proxies.get(proxy!).addToxic(sent)));
      },
    },
  },
  {
    path: 'proxies/*/toxics/*',
    methods: {
      GET: (proxies, [proxy, toxic]) => ok(toxicJson(proxies.get(proxy!).toxic(toxic!))),
      POST: updateToxic,
      PATCH: updateToxic,
      DELETE: (proxies, [proxy, toxic]) => {
        proxies.get(proxy!).removeToxic(toxic!);
        return done;
      },
    },
  },
];

/** Toxiproxy's HTTP API over the proxies. */
export const api =
  (proxies: Proxies): RequestListener =>
  (request, response) => {
    answer(proxies, request).then(
      ({ status, json }) => send(response, status, json),
      (error: unknown) => sendError(response, error),
    );
  };

async function answer(proxies: Proxies, request: IncomingMessage): Promise<Answer> {
  // A page in a browser must not reach this API by way of a forged name or form: Toxiproxy's rule.
  if (request.headers['user-agent']?.startsWith('Mozilla/'))
    throw new PlainAnswer(403, 'User agent not allowed');
  const found = findRoute(request.url ?? '/');
  if (found === null) throw new PlainAnswer(404, '404 page not found');
  const handler = found.route.methods[request.method ?? ''];
  if (handler === undefined) return { status: 405 };
  return handler(proxies, found.names, () => readBody(request));
}

function findRoute(url: string): { route: Route; names: string[] } | null {
  const parts = url.split('?')[0]!.slice(1).split('/');
  for (const route of routes) {
    const pattern = route.path.split('/');
    const fits =
      pattern.length === parts.length &&
      pattern.every((p, i) => (p === '*' ? parts[i] !== '' : p === parts[i]));
    if (fits) return { route, names: parts.filter((_, i) => pattern[i] === '*').map(decode) };
  }
  return null;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ApiError(400, `bad request path: ${part}`);
  }
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end all the same: a client that is still sending would not see the answer.
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  }
  if (bytes > bodyBytesMax)
    throw new ApiError(413, `request body: at most ${bodyBytesMax} bytes, got ${bytes}`);
  if (bytes === 0) throw badBody('EOF');
  return objectOf(parsed(Buffer.concat(chunks).toString('utf8')));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw badBody((error as Error).message);
  }
}

/** An error answered as text, not as JSON. */
class PlainAnswer extends ApiError {}

function send(response: ServerResponse, status: number, json: unknown): void {
  const text = json === undefined ? '' : JSON.stringify(json);
  if (text !== '') response.setHeader('content-type', 'application/json');
  response.writeHead(status, status === 204 ? {} : { 'content-length': Buffer.byteLength(text) }).end(text);
}

/** As Go's http.Error sends it: JSON called plain text, with a newline. */
function sendError(response: ServerResponse, error: unknown): void {
  const status = error instanceof ApiError ? error.status : 500;
  const message = error instanceof Error ? error.message : String(error);
  const text = error instanceof PlainAnswer ? message : JSON.stringify({ error: message, status });
  response
    .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' })
    .end(`${text}\n`);
}
