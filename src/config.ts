import { resolve } from 'node:path';
import { UsageError } from './failure.ts';
import { importDefault, type Overlay } from './load.ts';
import type { ScenarioInput } from './scenario.ts';

/** `poolsoak.config.ts`: your candidates and limits, laid over whatever scenario runs. A flag wins over both. */
export interface Config {
  candidates?: ScenarioInput['candidates'];
  checks?: ScenarioInput['checks'];
  defaults?: { speed?: number; seed?: number; repeat?: number };
}

export const defineConfig = (config: Config): Config => config;

const keys = ['candidates', 'checks', 'defaults'];
const defaultKeys = ['speed', 'seed', 'repeat'];

export async function loadConfig(given: string): Promise<Config> {
  const path = resolve(given);
  const config = await importDefault(path);
  if (typeof config !== 'object' || config === null)
    throw new UsageError(`${path}: exports no config; write "export default defineConfig({ ... })"`);
  refuseUnknown(path, config, keys);
  refuseUnknown(`${path}: defaults`, (config as Config).defaults ?? {}, defaultKeys);
  return config;
}

function refuseUnknown(where: string, given: object, known: string[]): void {
  const unknown = Object.keys(given).filter(key => !known.includes(key));
  if (unknown.length > 0)
    throw new UsageError(`${where}: unknown: ${unknown.join(', ')}; allowed: ${known.join(', ')}`);
}

/** Candidates of the same name replace the scenario's, checks are added; the validation sees the result. */
export function overlay(config: Config, path: string): Overlay {
  return {
    path,
    merge: raw => ({
      ...raw,
      candidates: { ...(raw.candidates as object), ...config.candidates },
      checks: [...((raw.checks as unknown[]) ?? []), ...(config.checks ?? [])],
    }),
  };
}
