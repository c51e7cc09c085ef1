import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type DifferenceName, differences } from './differences.ts';
import type { Answer } from './exchange.ts';
import type { ServerName } from './servers.ts';

/** One request, what Toxiproxy answered, and what ours does where it differs on purpose. */
export interface Step {
  method: string;
  path: string;
  /** As it goes over the wire. */
  sent: string | undefined;
  answer: Answer;
  differs?: Answer & { because: DifferenceName };
}

export interface Story {
  name: string;
  steps: Step[];
}

/**
 *     == name of a story
 *     METHOD path body
 *     status body
 *     ! name-of-difference status body
 */
function read(text: string): Story[] {
  return text
    .split(/^== /m)
    .slice(1)
    .map(part => {
      const [name, ...lines] = part.trimEnd().split('\n');
      return { name: name!, steps: steps(lines) };
    });
}

function steps(lines: string[]): Step[] {
  const found: Step[] = [];
  for (const line of lines) {
    const [first, second = ''] = line.split(' ');
    if (first === '!') found.at(-1)!.differs = differing(line.slice(2));
    else if (/^\d/.test(line)) found.at(-1)!.answer = answerIn(line);
    else {
      const sent = line.slice(`${first} ${second} `.length) || undefined;
      found.push({ method: first!, path: second, sent, answer: { status: 0, body: '' } });
    }
  }
  return found;
}

function differing(text: string): Answer & { because: DifferenceName } {
  const because = text.split(' ')[0]!;
  if (!Object.hasOwn(differences, because)) throw new Error(`${because} is not in differences.ts`);
  return { ...answerIn(text.slice(because.length + 1)), because: because as DifferenceName };
}

const answerIn = (text: string): Answer => ({
  status: Number(text.slice(0, 3)),
  body: text.length > 4 ? JSON.parse(text.slice(4), pattern) : '',
});

/** "/^.../" stands for a text that fits. */
const pattern = (_key: string, value: unknown): unknown =>
  typeof value === 'string' && /^\/\^.*\/$/.test(value)
    ? expect.stringMatching(new RegExp(value.slice(1, -1)))
    : value;

/** What a server is to answer to this step. */
export function expected({ answer, differs }: Step, server: ServerName): Answer {
  const { status, body } = server === 'embedded' && differs ? differs : answer;
  return { status, body };
}

const folder = join(import.meta.dirname, 'stories');

/** Every story, by the file it stands in. */
export const rooms: { room: string; stories: Story[] }[] = readdirSync(folder).map(file => ({
  room: file.replace('.txt', ''),
  stories: read(readFileSync(join(folder, file), 'utf8')),
}));
