import { pathToFileURL } from 'node:url';
import * as registry from './index.ts';
import type { PoolAdapter } from './pool.ts';

export const adapters: Record<string, PoolAdapter> = registry;

export const isModulePath = (name: string): boolean => name.startsWith('/') || /^\.\.?\//.test(name);

const isFunction = (value: unknown): boolean => typeof value === 'function';
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const members: [keyof PoolAdapter, (value: unknown) => boolean][] = [
  ['name', value => typeof value === 'string'],
  ['engines', Array.isArray],
  ['settings', value => isObject(value) && isFunction((value as { safeParse?: unknown }).safeParse)],
  ['knobs', isObject],
  ['max', isFunction],
  ['acquireTimeoutMs', isFunction],
  ['versions', isFunction],
  ['open', isFunction],
];

/**
 * An adapter of ours by name, or a user's by the absolute path of the module that exports it as default. `fresh`: a
 * module of its own for each such word, as each process has; node would give everybody the first one.
 */
export async function loadAdapter(name: string, fresh?: string): Promise<PoolAdapter> {
  if (Object.hasOwn(adapters, name)) return adapters[name]!;
  if (!isModulePath(name))
    throw new Error(
      `no pool adapter "${name}"; there are ${Object.keys(adapters).join(', ')}, or a module's path`,
    );
  const { createJiti } = await import('jiti');
  const jiti = createJiti(import.meta.url, { moduleCache: false, fsCache: false });
  const adapter =
    fresh !== undefined && /\.m?js$/.test(name)
      ? ((await import(`${pathToFileURL(name)}?${fresh}`)) as { default: PoolAdapter }).default
      : await jiti.import<PoolAdapter>(name, { default: true });
  const missing = members.filter(([member, is]) => !is(adapter?.[member])).map(([member]) => member);
  if (missing.length > 0)
    throw new Error(
      `${name}: its default export is no pool adapter; missing or wrong: ${missing.join(', ')}`,
    );
  return adapter;
}
