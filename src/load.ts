import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UsageError } from './failure.ts';
import { isModulePath, loadAdapter } from './pools/load.ts';
import type { Endpoint } from './pools/pool.ts';
import type { Problem } from './problems.ts';
import { type Registries, runsOn, type Scenario, validateScenario } from './scenario.ts';

const shippedFolder = fileURLToPath(new URL('../scenarios/', import.meta.url));
// Beside us, under whatever ending we run with ourselves.
const publicApi =
  fileURLToPath(new URL('./index', import.meta.url)) + (import.meta.url.endsWith('.ts') ? '.ts' : '.js');

/** The scenarios that come with poolsoak, by bare name. */
export function shippedScenarios(): string[] {
  const names = readdirSync(shippedFolder).filter(file => /\.(js|ts)$/.test(file) && !file.endsWith('.d.ts'));
  return names.map(file => basename(file).replace(/\.(js|ts)$/, '')).sort();
}

/** The file of a scenario given by bare name or path. */
export function scenarioPath(given: string): string {
  if (isModulePath(given) || /\.(ts|mts|js|mjs)$/.test(given)) {
    const path = resolve(given);
    if (existsSync(path)) return path;
    throw new UsageError(`scenario ${given}: there is no such file (${path})`);
  }
  const names = shippedScenarios();
  const found =
    names.includes(given) && ['.js', '.ts'].map(end => shippedFolder + given + end).find(existsSync);
  if (found) return found;
  throw new UsageError(
    `no scenario "${given}"; there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}, or give a file's path (./mine.ts)`,
  );
}

/** What the file exports by default; a user's TypeScript is loaded on any Node. */
export async function importDefault(path: string): Promise<unknown> {
  try {
    const module =
      path.startsWith(shippedFolder) && path.endsWith('.js')
        ? ((await import(pathToFileURL(path).href)) as { default?: unknown })
        : await (await import('jiti'))
            .createJiti(import.meta.url, {
              alias: { poolsoak: publicApi },
              moduleCache: false,
              fsCache: false,
              interopDefault: false,
            })
            .import<{
              default?: unknown;
            }>(path);
    return module.default;
  } catch (error) {
    const [first] = String((error as Error).message ?? error).split('\n');
    throw new UsageError(`${path} cannot be loaded: ${first}${whereIn(error, path)}`);
  }
}

/** The line of the user's own file in a stack, if it is there. */
function whereIn(error: unknown, path: string): string {
  const line = String((error as Error).stack ?? '')
    .split(path)[1]
    ?.match(/^:(\d+)/);
  return line ? ` (line ${line[1]})` : '';
}

export interface Loaded {
  scenario: Scenario;
  path: string;
  /** With the user's own pool adapters among them. */
  registries: Registries;
}

export async function loadScenario(
  given: string,
  registries: Registries,
  overlay: Overlay = {},
): Promise<Loaded> {
  const path = scenarioPath(given);
  const raw = await importDefault(path);
  if (typeof raw !== 'object' || raw === null)
    throw new UsageError(`${path}: exports no scenario; write "export default defineScenario({ ... })"`);
  const merged = overlay.merge
    ? overlay.merge(raw as Record<string, unknown>)
    : (raw as Record<string, unknown>);
  const { pools, resolved } = await userPools(merged, dirname(path), registries);
  const all = { ...registries, pools };
  const { scenario, problems } = validateScenario(resolved, all);
  if (!scenario)
    throw new UsageError(problemText(overlay.path ? `${path} with ${overlay.path}` : path, problems));
  return { scenario, path, registries: all };
}

/** The names of the candidates to run: those given, or all that are for the engine. */
export function chosen(
  { candidates: given, engine }: { candidates?: string[]; engine: Endpoint['engine'] },
  { scenario, registries: { pools } }: Loaded,
  warn: (text: string) => void,
): string[] {
  const all = Object.entries(scenario.candidates);
  const known = all.map(([name]) => name);
  if (known.length === 0)
    throw new UsageError('the scenario has no candidates; give some with --config FILE');
  const unknown = (given ?? []).filter(name => !known.includes(name));
  if (unknown.length > 0)
    throw new UsageError(
      `--candidates: no candidate "${unknown.join('", "')}"; there are ${known.join(', ')}`,
    );
  if (given) return [...new Set(given)];
  const fit = all.filter(([, candidate]) => runsOn(engine, candidate, pools[candidate.pool]!));
  const others = known.filter(name => !fit.some(([fits]) => fits === name));
  // None is left: the plan says why, of each.
  if (fit.length === 0) return known;
  if (others.length > 0) warn(`not for ${engine}, so left out: ${others.join(', ')}`);
  return fit.map(([name]) => name);
}

/** What a config file lays over a scenario. */
export interface Overlay {
  path?: string;
  merge?(raw: Record<string, unknown>): Record<string, unknown>;
}

export function problemText(where: string, problems: readonly Problem[]): string {
  const lines = problems.map(({ path, message }) => `  ${path === '' ? '(the whole)' : path}: ${message}`);
  return `${where}: ${problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`}\n${lines.join('\n')}`;
}

/** Candidates whose pool is a module of the user's: paths made absolute, adapters loaded. */
async function userPools(raw: Record<string, unknown>, folder: string, registries: Registries) {
  const pools = { ...registries.pools };
  const candidates = (raw.candidates ?? {}) as Record<string, { pool?: unknown }>;
  const resolved: Record<string, unknown> = {};
  for (const [name, candidate] of Object.entries(candidates)) {
    const pool = candidate?.pool;
    resolved[name] = candidate;
    if (typeof pool !== 'string' || !isModulePath(pool)) continue;
    const path = resolve(folder, pool);
    if (!existsSync(path)) throw new UsageError(`candidates.${name}.pool: there is no file ${path}`);
    pools[path] = await loadAdapter(path).catch(error => {
      throw new UsageError(`candidates.${name}.pool: ${path}: ${error.message}`);
    });
    resolved[name] = { ...candidate, pool: path };
  }
  return { pools, resolved: raw.candidates ? { ...raw, candidates: resolved } : raw };
}
