import type { Check } from './checks/check.ts';
import * as checkBarrel from './checks/index.ts';
import type { Fault, FaultFactory } from './faults/fault.ts';
import * as faultBarrel from './faults/index.ts';
import { adapters } from './pools/load.ts';
import type { Registries } from './scenario.ts';

const faults: Record<string, Fault> = Object.fromEntries(
  Object.values(faultBarrel as unknown as Record<string, FaultFactory>).map(({ fault }) => [
    fault.name,
    fault,
  ]),
);

const checks: Record<string, Check> = Object.fromEntries(
  Object.values(checkBarrel as unknown as Record<string, Check>).map(check => [check.id, check]),
);

/** Every plug-in there is, by name: what the barrels of the rooms export. */
export const registries = { pools: adapters, faults, checks } satisfies Registries;
