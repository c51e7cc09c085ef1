import { createJiti } from 'jiti';
import * as registry from './index.ts';
import type { PoolAdapter } from './pool.ts';

export const adapters: Record<string, PoolAdapter> = registry;

export const isModulePath = (name: string): boolean => name.startsWith('/') || /^\.\.?\//.test(name);

/** An adapter of ours by name, or a user's by the absolute path of the module that exports it as default. */
export async function loadAdapter(name: string): Promise<PoolAdapter> {
  if (Object.hasOwn(adapters, name)) return adapters[name]!;
  if (!isModulePath(name))
    throw new Error(
      `no pool adapter "${name}"; there are ${Object.keys(adapters).join(', ')}, or a module's path`,
    );
  const jiti = createJiti(import.meta.url, { moduleCache: false });
  const adapter = await jiti.import<PoolAdapter>(name, { default: true });
  if (typeof adapter?.open !== 'function' || typeof adapter.settings?.safeParse !== 'function')
    throw new Error(
      `${name}: its default export is no pool adapter (name, engines, settings, knobs, max, open, ...)`,
    );
  return adapter;
}
