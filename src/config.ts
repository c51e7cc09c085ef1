import { resolve } from 'node:path';
import { z } from 'zod';
import { UsageError } from './failure.ts';
import { importDefault, type Overlay, problemText } from './load.ts';
import { problemsOf } from './problems.ts';
import type { ScenarioInput } from './scenario.ts';
import { parseProxy, proxyRule } from './world/proxies/proxy.ts';

/** `poolsoak.config.ts`: your candidates and limits, laid over whatever scenario runs. A flag wins over both. */
export interface Config {
  candidates?: ScenarioInput['candidates'];
  checks?: ScenarioInput['checks'];
  defaults?: { speed?: number; seed?: number; repeat?: number; proxy?: string };
}

export const defineConfig = (config: Config): Config => config;

const schema = z.strictObject({
  candidates: z.record(z.string(), z.unknown()).optional(),
  checks: z.array(z.unknown()).optional(),
  defaults: z
    .strictObject({
      speed: z.number().min(1).max(10_000).optional(),
      seed: z.number().int().min(0).optional(),
      repeat: z.number().int().min(1).max(1000).optional(),
      proxy: z
        .string()
        .refine(text => parseProxy(text) !== null, { error: proxyRule })
        .optional(),
    })
    .optional(),
});

export async function loadConfig(given: string): Promise<Config> {
  const path = resolve(given);
  const config = await importDefault(path);
  if (typeof config !== 'object' || config === null)
    throw new UsageError(`${path}: exports no config; write "export default defineConfig({ ... })"`);
  const parsed = schema.safeParse(config);
  if (!parsed.success) throw new UsageError(problemText(path, problemsOf(parsed.error, schema, config)));
  // Candidates and checks are validated as part of the scenario that they are laid over.
  return config as Config;
}

/** Candidates of the same name replace the scenario's, checks are added; the validation sees the result. */
export function overlay(config: Config, path: string): Overlay {
  return {
    path,
    merge: raw => ({
      ...raw,
      candidates: { ...(raw.candidates as object), ...config.candidates },
      checks: [...(Array.isArray(raw.checks) ? raw.checks : []), ...(config.checks ?? [])],
    }),
  };
}
