import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differences } from './differences.ts';
import { rooms } from './story.ts';

const steps = rooms.flatMap(({ stories }) => stories.flatMap(story => story.steps));

/** The names that plays ask `differs` for, and comments call a difference. */
const inPlays = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith('.test.ts'))
  .map(file => readFileSync(join(import.meta.dirname, file), 'utf8'))
  .flatMap(text => [...text.matchAll(/differs\(\s*'([^']+)'|\/\/ difference: ([\w-]+)/g)])
  .map(([, asked, told]) => asked ?? told!);

describe('the list of differences', () => {
  it('names what is asserted, all of it and nothing else', () => {
    const inStories = steps.flatMap(({ differs }) => (differs ? [differs.because] : []));
    expect([...new Set([...inStories, ...inPlays])].sort()).toEqual(Object.keys(differences).sort());
  });

  it('holds no difference that is none', () => {
    const same = steps.filter(({ answer, differs }) => {
      const { because: _, ...ours } = differs ?? { because: '', status: 0, body: '' };
      return JSON.stringify(answer) === JSON.stringify(ours);
    });
    expect(same).toEqual([]);
  });
});
