import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ApiError } from './api-error.ts';
import { readBody } from './body.ts';
import { type Answer, PlainAnswer, type Route, routes, type Served } from './routes.ts';

/** Toxiproxy's HTTP API over the proxies. */
export const api =
  (served: Served): RequestListener =>
  (request, response) => {
    answer(served, request).then(
      given => send(response, given),
      (error: unknown) => sendError(response, error),
    );
  };

async function answer(served: Served, request: IncomingMessage): Promise<Answer> {
  const [path, query] = (request.url ?? '/').split('?', 2);
  const found = findRoute(path!);
  if (found === null) throw new PlainAnswer(404, '404 page not found');
  const handler = found.route.methods[request.method ?? ''];
  if (handler === undefined) return { status: 405 };
  // A page in a browser must not reach this API by way of a forged name or form: Toxiproxy's rule.
  if (request.headers['user-agent']?.startsWith('Mozilla/'))
    throw new PlainAnswer(403, 'User agent not allowed');
  return handler({
    served,
    names: found.names,
    query: new URLSearchParams(query),
    body: () => readBody(request),
  });
}

function findRoute(path: string): { route: Route; names: string[] } | null {
  const parts = path.slice(1).split('/');
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

function send(response: ServerResponse, { status, json, metrics }: Answer): void {
  const text = metrics ?? (json === undefined ? '' : JSON.stringify(json));
  const type = metrics === undefined ? 'application/json' : 'text/plain; version=0.0.4; charset=utf-8';
  if (text !== '') response.setHeader('content-type', type);
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
