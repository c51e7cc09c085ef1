import { fileURLToPath } from 'node:url';

/**
 * The compiled file of a process of ours. `module` is the caller's import.meta.url, `relative` the path
 * from it. Under the tests the caller is still TypeScript in src/, which a plain node cannot run.
 */
export function builtFile(module: string, relative: string): string {
  const path = fileURLToPath(new URL(relative, module));
  if (!module.endsWith('.ts')) return path;
  const at = path.lastIndexOf('/src/');
  return `${path.slice(0, at)}/dist${path.slice(at)}`;
}
