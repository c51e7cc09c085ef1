import { toxics } from './installed-toxic.ts';

export const proxyHelp = `Usage: poolsoak proxy [flags]

A TCP proxy that makes connections slow, silent or broken on demand. It speaks the HTTP API of
Toxiproxy 2.12, so that toxiproxy-cli and every Toxiproxy client can drive it.

Flags, with one dash or two, -port 8474 or -port=8474:
  -host HOST         where the API listens (default 127.0.0.1)
  -port PORT         its port; 0: any free one (default 8474)
  -config FILE       proxies to begin with, a JSON array:
                     [{"name": "db", "listen": "127.0.0.1:5433", "upstream": "127.0.0.1:5432",
                       "enabled": true, "mirror": false, "toxics": []}]
  -seed SEED         where every draw comes from: the same seed, the same victims and jitter
                     (default: a random one, which is printed)
  -proxy-metrics     serve bytes and connections at /metrics, for Prometheus
  -runtime-metrics   serve CPU time and memory there
  -version, -help

Try it, with a PostgreSQL server on port 5432:
  poolsoak proxy &
  curl -d '{"name": "db", "listen": "127.0.0.1:5433", "upstream": "127.0.0.1:5432"}' localhost:8474/proxies
  psql -h 127.0.0.1 -p 5433                  # the database, through the proxy
  curl -d '{"type": "latency", "attributes": {"latency": 300}}' localhost:8474/proxies/db/toxics
  curl localhost:8474/proxies/db/connections
  curl -X DELETE localhost:8474/proxies/db/toxics/latency_downstream

Toxics: ${wrapped(Object.keys(toxics), 80)}

Exit codes: 0 asked to leave (SIGINT, SIGTERM), 64 bad flags or config, 69 a port cannot be had, 70 a bug.
`;

function wrapped(words: string[], width: number): string {
  const lines = [''];
  for (const word of words) {
    const line = lines.at(-1)!;
    if (line.length + word.length > width) lines.push(`${word}, `);
    else lines[lines.length - 1] = `${line}${word}, `;
  }
  return lines
    .map(line => line.trimEnd())
    .join('\n        ')
    .replace(/,$/, '');
}
