import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const worthBytes = 16e6;

/**
 * A world's rows stand outside the heap, where nothing makes the collector look for them: a day of a thousand sessions
 * would lie there, 60 MB of it, while it is judged.
 */
export function collectWorld(): void {
  if (process.memoryUsage().arrayBuffers < worthBytes) return;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
}
