import type { Reporter } from './reporter.ts';
import { controls } from './words.ts';

/** JSON leaves some control characters as they are; a terminal shows the file all the same. */
const escaped = (json: string): string =>
  json.replace(controls, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

export const json: Reporter = {
  name: 'json',
  summary: 'result.json: everything, for machines',
  file: 'result.json',
  render: report => `${escaped(JSON.stringify(report, null, 2))}\n`,
};
