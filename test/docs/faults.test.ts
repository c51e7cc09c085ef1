import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { durationMs } from '../../src/duration.ts';
import { type Fault, isDuration, kindOf, needsOf, type Planned } from '../../src/faults/fault.ts';
import { registries } from '../../src/registries.ts';
import { type Way, ways } from '../../src/world/ways.ts';

const path = join(import.meta.dirname, '../../docs/faults.md');
const worlds = ['embedded', 'toxiproxy', 'virtual'] as const;

/** Every combination of the settings that are a choice, over the example. */
function variants(fault: Fault): { given: Record<string, unknown>; planned: Planned<Fault['settings']> }[] {
  const choices = Object.entries(fault.settings.shape).flatMap(([key, schema]) => {
    const inner = ((schema as { def?: { innerType?: unknown } }).def?.innerType ?? schema) as {
      options?: string[];
    };
    return inner.options ? [[key, inner.options] as const] : [];
  });
  const all = choices.reduce<Record<string, unknown>[]>(
    (made, [key, options]) => made.flatMap(each => options.map(option => ({ ...each, [key]: option }))),
    [fault.example],
  );
  const ms = ([key, value]: [string, unknown]) => [
    key,
    isDuration(fault.settings.shape[key]) ? durationMs(value as string) : value,
  ];
  return all.map(given => ({
    given,
    planned: Object.fromEntries(Object.entries(fault.settings.parse(given)).map(ms)),
  }));
}

const unique = (texts: string[]): string => [...new Set(texts)].join(', ');
const can = (needs: readonly string[], world: (typeof worlds)[number]): string =>
  needs.every(need => 'how' in ways[need as keyof typeof ways][world]) ? 'yes' : '**no**';

function faultsTable(): string {
  const rows = Object.values(registries.faults).map(fault => {
    const all = variants(fault);
    const needs = [...new Set(all.flatMap(({ planned }) => needsOf(fault, planned)))];
    const kinds = unique(all.map(({ planned }) => kindOf(fault, planned)));
    const settings = Object.keys(fault.settings.shape)
      .map(key => `\`${key}\``)
      .join(', ');
    const each = worlds.map(world => can(needs, world)).join(' | ');
    return `| \`${fault.name}\` | ${kinds} | ${settings} | ${needs.map(need => `\`${need}\``).join(', ')} | ${each} |`;
  });
  const summaries = Object.values(registries.faults).map(({ name, summary }) => `- \`${name}\`: ${summary}`);
  const head =
    '| fault | kind | settings | needs | embedded | toxiproxy | virtual |\n|---|---|---|---|---|---|---|';
  return `${summaries.join('\n')}\n\n${[head, ...rows].join('\n')}`;
}

function needsTable(): string {
  const text = (way: Way): string => ('how' in way ? way.how : `not: ${way.no}`);
  const rows = Object.entries(ways).map(
    ([need, way]) => `| \`${need}\`: ${way.what} | ${worlds.map(world => text(way[world])).join(' | ')} |`,
  );
  return ['| need | embedded | toxiproxy | virtual |', '|---|---|---|---|', ...rows].join('\n');
}

const section = (name: string) => new RegExp(`(<!-- ${name}: begin -->\n)[^]*?(<!-- ${name}: end -->)`);

/** POOLSOAK_UPDATE_DOCS=1 writes them anew. */
it('docs/faults.md says what the code says', () => {
  const text = readFileSync(path, 'utf8');
  const made = text
    .replace(section('faults'), (_all, begin, end) => `${begin}${faultsTable()}\n${end}`)
    .replace(section('needs'), (_all, begin, end) => `${begin}${needsTable()}\n${end}`);
  if (process.env.POOLSOAK_UPDATE_DOCS === '1') writeFileSync(path, made);
  expect(readFileSync(path, 'utf8')).toBe(made);
});
