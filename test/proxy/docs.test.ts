import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { toxics } from '../../src/proxy/installed-toxic.ts';
import { routes } from '../../src/proxy/routes.ts';
import type { Attribute } from '../../src/proxy/toxics/toxic.ts';
import { differences } from './conformance/differences.ts';

const page = readFileSync(new URL('../../docs/proxy.md', import.meta.url), 'utf8');

/** An attribute as the page has it: name, unit and default, or what there is to choose from, its default first. */
function documented([name, attribute]: [string, Attribute]): string {
  if (attribute.kind === 'choice') {
    const others = attribute.of.filter(choice => choice !== attribute.default);
    return `\`${name}\` ${[`**${attribute.default}**`, ...others].join(', ')}`;
  }
  const { unit, min, default: standard } = attribute;
  const needed = min !== undefined && standard < min;
  return `\`${name}\`${unit ? ` ${unit}` : ''}, ${needed ? 'required' : standard.toLocaleString('en')}`;
}

test.each(Object.values(toxics))('the page has $type with its attributes', ({ type, attributes }) => {
  const cell = Object.entries(attributes).map(documented).join('<br>');
  expect(page).toContain(`\n| \`${type}\` | ${cell} |`);
});

test.each(routes)('the page has /$path with its methods', ({ path, methods }) => {
  const row = page.split('\n').find(line => {
    const shown = /^\| `\/([^`]*)` \|/.exec(line)?.[1];
    return shown?.replaceAll(/\{\w+\}/g, '*') === path;
  });
  for (const method of Object.keys(methods)) expect(row).toContain(method);
});

test.each(Object.entries(differences))('the page has the difference %s', (_name, reason) => {
  expect(page).toContain(`\n- ${reason}\n`);
});
