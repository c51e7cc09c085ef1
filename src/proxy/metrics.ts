import type { FaultProxy, ProxySettings } from './fault-proxy.ts';
import type { Proxies } from './proxies.ts';

/** What toxiproxy-server's flags of these names turn on. */
export interface MetricsWanted {
  proxy: boolean;
  runtime: boolean;
}

interface Sample {
  labels: Record<string, string>;
  value: number;
}

interface Metric {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  samples: Sample[];
}

/** Prometheus' text of all that is wanted; null: nothing is, so there is no such page. */
export function metricsOf(proxies: Proxies, wanted: MetricsWanted): (() => string) | null {
  if (!wanted.proxy && !wanted.runtime) return null;
  return () =>
    [...(wanted.proxy ? proxyMetrics(proxies) : []), ...(wanted.runtime ? runtimeMetrics() : [])]
      .map(metricText)
      .join('');
}

interface Seen {
  name: string;
  settings: Readonly<ProxySettings>;
  counts: ReturnType<FaultProxy['counts']>;
}

function proxyMetrics(proxies: Proxies): Metric[] {
  const all: Seen[] = proxies
    .all()
    .map(proxy => ({ name: proxy.name, settings: proxy.settings, counts: proxy.counts() }));
  const each = (of: (counts: Seen['counts']) => number): Sample[] =>
    all.map(({ name, counts }) => ({ labels: { proxy: name }, value: of(counts) }));
  const kills = all.flatMap(({ name, counts }) =>
    Object.entries(counts.kills).map(([how, value]) => ({ labels: { how, proxy: name }, value })),
  );
  return [
    // Toxiproxy's own have no help text either.
    metric('toxiproxy_proxy_received_bytes_total', '', bytesOf(all, 'received')),
    metric('toxiproxy_proxy_sent_bytes_total', '', bytesOf(all, 'sent')),
    metric(
      'poolsoak_proxy_connections',
      'Connections there are now.',
      each(({ open }) => open),
    ),
    metric(
      'poolsoak_proxy_accepted_total',
      'Connections accepted.',
      each(({ accepted }) => accepted),
    ),
    metric(
      'poolsoak_proxy_above_limit_total',
      'Connections closed for want of room.',
      each(({ over }) => over),
    ),
    metric('poolsoak_proxy_kills_total', 'Connections ended by a toxic or by the API.', kills),
  ];
}

const bytesOf = (all: Seen[], what: 'received' | 'sent'): Sample[] =>
  all.flatMap(({ name, settings: { listen, upstream }, counts }) =>
    (['upstream', 'downstream'] as const).map(direction => ({
      labels: { direction, listener: listen, proxy: name, upstream },
      value: counts[what][direction],
    })),
  );

/** Under the names Prometheus' clients use; only what Node has at hand. */
function runtimeMetrics(): Metric[] {
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  return [
    metric('process_cpu_seconds_total', 'CPU time, user and system.', one((cpu.user + cpu.system) / 1e6)),
    metric('process_resident_memory_bytes', 'Resident memory.', one(memory.rss)),
    metric('process_uptime_seconds', 'Time since start.', one(process.uptime())),
    metric('nodejs_heap_size_used_bytes', 'Heap in use.', one(memory.heapUsed)),
  ];
}

/** Prometheus' rule for names: what only grows ends in _total. */
const metric = (name: string, help: string, samples: Sample[]): Metric => ({
  name,
  type: name.endsWith('_total') ? 'counter' : 'gauge',
  help,
  samples,
});

function metricText({ name, type, help, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
