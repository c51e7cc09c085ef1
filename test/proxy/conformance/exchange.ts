import { request } from 'node:http';

/** What the API said: a body as JSON if it is one, as text otherwise. */
export interface Answer {
  status: number;
  body: unknown;
}

export interface RawAnswer extends Answer {
  type: string | undefined;
  text: string;
}

/** By hand: no client in between that would set a header, follow a redirect or tidy a path up. */
export function raw(
  url: string,
  method: string,
  path: string,
  sent?: unknown,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const text = sent === undefined || typeof sent === 'string' ? sent : JSON.stringify(sent);
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path, headers }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', part => {
        body += part;
      });
      response.on('end', () => {
        const type = response.headers['content-type'];
        resolve({ status: response.statusCode!, type, text: body, body: parsed(body) });
      });
    });
    outgoing.on('error', reject).end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Ports that were given out during a story, by the proxy that got them: `:<a>` in what is sent and expected. */
export class Ports {
  readonly #known: [port: string, name: string][] = [];

  learn(body: unknown): void {
    if (typeof body !== 'object' || body === null) return;
    const { name, listen } = body as { name?: unknown; listen?: unknown };
    const port = typeof listen === 'string' && /:[1-9]\d*$/.exec(listen)?.[0];
    if (!port) for (const each of Object.values(body)) this.learn(each);
    // The newest port of a name is the one that holds.
    else if (!this.#known.some(([known]) => known === port)) this.#known.unshift([port, `:<${name}>`]);
  }

  hide = <T>(value: T): T => replaced(value, this.#known);

  show = <T>(value: T): T =>
    replaced(
      value,
      this.#known.map(([port, name]) => [name, port]),
    );
}

function replaced<T>(value: T, pairs: [from: string, to: string][]): T {
  if (value === undefined) return value;
  let text = JSON.stringify(value);
  for (const [from, to] of pairs) text = text.replaceAll(from, to);
  return JSON.parse(text);
}
