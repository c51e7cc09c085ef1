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

function proxyMetrics(proxies: Proxies): Metric[] {
  const all = proxies.all().map(proxy => ({ name: proxy.name, ...proxy.settings, counts: proxy.counts() }));
  const bytes = (what: 'received' | 'sent'): Sample[] =>
    all.flatMap(({ name, listen, upstream, counts }) =>
      (['upstream', 'downstream'] as const).map(direction => ({
        labels: { direction, listener: listen, proxy: name, upstream },
        value: counts[what][direction],
      })),
    );
  const each = (of: (counts: (typeof all)[number]['counts']) => number): Sample[] =>
    all.map(({ name, counts }) => ({ labels: { proxy: name }, value: of(counts) }));
  const kills = all.flatMap(({ name, counts }) =>
    Object.entries(counts.kills).map(([how, value]) => ({ labels: { how, proxy: name }, value })),
  );
  return [
    // Toxiproxy's own have no help text either.
    { name: 'toxiproxy_proxy_received_bytes_total', type: 'counter', help: '', samples: bytes('received') },
    { name: 'toxiproxy_proxy_sent_bytes_total', type: 'counter', help: '', samples: bytes('sent') },
    {
      name: 'poolsoak_proxy_connections',
      type: 'gauge',
      help: 'Connections there are now.',
      samples: each(({ open }) => open),
    },
    {
      name: 'poolsoak_proxy_accepted_total',
      type: 'counter',
      help: 'Connections accepted.',
      samples: each(({ accepted }) => accepted),
    },
    {
      name: 'poolsoak_proxy_kills_total',
      type: 'counter',
      help: 'Connections ended by a toxic or by the API.',
      samples: kills,
    },
  ];
}

/** Under the names Prometheus' clients use; of the machine's clock only what Node has at hand. */
function runtimeMetrics(): Metric[] {
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  return [
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'CPU time, user and system.',
      samples: one((cpu.user + cpu.system) / 1e6),
    },
    {
      name: 'process_resident_memory_bytes',
      type: 'gauge',
      help: 'Resident memory.',
      samples: one(memory.rss),
    },
    {
      name: 'process_uptime_seconds',
      type: 'gauge',
      help: 'Time since start.',
      samples: one(process.uptime()),
    },
    {
      name: 'nodejs_heap_size_used_bytes',
      type: 'gauge',
      help: 'Heap in use.',
      samples: one(memory.heapUsed),
    },
  ];
}

function metricText({ name, type, help, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
