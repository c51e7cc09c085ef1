import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Our own version; package.json stands beside src/, and two levels above when compiled. */
export const version: string = find(dirname(fileURLToPath(import.meta.url)));

function find(folder: string): string {
  try {
    const { name, version: found } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (name === 'poolsoak') return found;
  } catch {
    // Not here; one further up.
  }
  const parent = dirname(folder);
  return parent === folder ? 'unknown' : find(parent);
}
