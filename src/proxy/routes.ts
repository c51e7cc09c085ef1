import { ApiError, badBody } from './api-error.ts';
import { type Body, objectOf } from './fields.ts';
import { toxicJson } from './installed-toxic.ts';
import type { Proxies } from './proxies.ts';
import type { KillHow } from './toxics/toxic.ts';

/** The Toxiproxy whose API this is, and who speaks it. */
export const apiVersion = '2.12.0+poolsoak';

/** What the API is about. */
export interface Served {
  proxies: Proxies;
  /** The text of /metrics; null: not asked for, so there is no such page. */
  metrics: (() => string) | null;
}

export interface Answer {
  status: number;
  json?: unknown;
  metrics?: string;
}

interface Call {
  served: Served;
  /** What stood for the stars of the path. */
  names: string[];
  query: URLSearchParams;
  body: () => Promise<unknown>;
}

type Handler = (call: Call) => Answer | Promise<Answer>;

export interface Route {
  /** `*` is a name, handed on in order. */
  path: string;
  methods: Record<string, Handler>;
}

const ok = (json: unknown): Answer => ({ status: 200, json });
const done: Answer = { status: 204 };
const fields = async ({ body }: Call): Promise<Body> => objectOf(await body());
const proxyOf = ({ served, names }: Call) => served.proxies.get(names[0]!);

const updateProxy: Handler = async call => {
  const { name } = proxyOf(call);
  return ok((await call.served.proxies.update(name, await fields(call))).json());
};

const addToxic: Handler = async call => {
  proxyOf(call);
  const sent = await fields(call);
  // Looked up anew: while the body came the proxy may have gone.
  const proxy = proxyOf(call);
  const toxic = proxy.addToxic(sent);
  await proxy.settled();
  return ok(toxicJson(toxic));
};

const updateToxic: Handler = async call => {
  const name = call.names[1]!;
  proxyOf(call).toxic(name);
  const sent = await fields(call);
  const proxy = proxyOf(call);
  const toxic = proxy.updateToxic(name, sent);
  await proxy.settled();
  return ok(toxicJson(toxic));
};

const removeToxic: Handler = async call => {
  const proxy = proxyOf(call);
  proxy.removeToxic(call.names[1]!);
  await proxy.settled();
  return done;
};

/** Answers with the proxies it got to, also when it did not get to the end. */
const populate: Handler = async ({ served, body }) => {
  const { proxies, error } = await body().then(
    sent => served.proxies.populate(sent),
    (error: Error) => ({ proxies: [], error }),
  );
  const json = { proxies: proxies.length > 0 ? proxies.map(proxy => proxy.json()) : null };
  if (error === null) return { status: 201, json };
  const status = error instanceof ApiError ? error.status : 500;
  return { status, json: { error: error.message, status, ...json } };
};

const hows: string[] = ['rst', 'fin', 'drop'] satisfies KillHow[];

const endConnection: Handler = call => {
  const how = call.query.get('how') ?? 'rst';
  if (!hows.includes(how)) throw badBody(`how: expected one of ${hows.join(', ')}, got "${how}"`);
  proxyOf(call).endConnection(Number(call.names[1]), how as KillHow);
  return done;
};

export const routes: Route[] = [
  { path: 'version', methods: { GET: () => ok({ version: apiVersion }) } },
  {
    path: 'metrics',
    methods: {
      GET: ({ served: { metrics } }) => {
        if (metrics === null) throw new PlainAnswer(404, '404 page not found');
        return { status: 200, metrics: metrics() };
      },
    },
  },
  { path: 'populate', methods: { POST: populate } },
  {
    path: 'reset',
    methods: {
      POST: async ({ served }) => {
        await served.proxies.reset();
        return done;
      },
    },
  },
  {
    path: 'proxies',
    methods: {
      GET: ({ served }) =>
        ok(Object.fromEntries(served.proxies.all().map(proxy => [proxy.name, proxy.json()]))),
      POST: async call => ({
        status: 201,
        json: (await call.served.proxies.create(await fields(call))).json(),
      }),
    },
  },
  {
    path: 'proxies/*',
    methods: {
      GET: call => ok(proxyOf(call).json()),
      POST: updateProxy,
      PATCH: updateProxy,
      DELETE: async ({ served, names }) => {
        await served.proxies.remove(names[0]!);
        return done;
      },
    },
  },
  {
    path: 'proxies/*/toxics',
    methods: { GET: call => ok(proxyOf(call).toxics().map(toxicJson)), POST: addToxic },
  },
  {
    path: 'proxies/*/toxics/*',
    methods: {
      GET: call => ok(toxicJson(proxyOf(call).toxic(call.names[1]!))),
      POST: updateToxic,
      PATCH: updateToxic,
      DELETE: removeToxic,
    },
  },
  { path: 'proxies/*/connections', methods: { GET: call => ok(proxyOf(call).connections()) } },
  { path: 'proxies/*/connections/*', methods: { DELETE: endConnection } },
];

/** An error answered as text, not as JSON. */
export class PlainAnswer extends ApiError {}
