import { costs } from './costs.ts';
import { say } from './figures.ts';
import { memory } from './memory.ts';
import { parts } from './parts.ts';
import { proxy } from './proxy.ts';
import { throughput } from './throughput.ts';
import { virtual } from './virtual.ts';

/** `npm run bench [-- parts throughput memory virtual proxy]`: each a ratio of two things measured in one run. */
const benches: Record<string, () => Promise<boolean>> = { parts, throughput, memory, virtual, proxy };
/** Only when asked for: nothing to compare. */
const others: Record<string, () => Promise<boolean>> = { costs };

const asked = process.argv.slice(2);
const all = { ...benches, ...others };
const unknown = asked.filter(name => !Object.hasOwn(all, name));
if (unknown.length > 0) {
  say(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}`);
  process.exit(64);
}
let met = true;
for (const name of asked.length > 0 ? asked : Object.keys(benches)) met = (await all[name]!()) && met;
process.exit(met ? 0 : 1);
