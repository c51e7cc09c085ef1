import { describe, expect, it } from 'vitest';
import { loadScenario, shippedScenarios } from '../../src/load.ts';
import { planTrial } from '../../src/plan.ts';
import { registries } from '../../src/registries.ts';

describe.each(shippedScenarios())('%s', name => {
  it('is valid, goes by its file name and tells a story', async () => {
    const { scenario } = await loadScenario(name, registries);
    expect(scenario.name).toBe(name);
    expect(scenario.story.length).toBeGreaterThan(40);
  });

  it('can be planned at its own speed, for every candidate', async () => {
    const { scenario } = await loadScenario(name, registries);
    for (const candidate of Object.keys(scenario.candidates)) {
      const world = { host: 'embedded', engine: 'postgres', path: null } as const;
      const { speed } = scenario;
      const { problems } = planTrial(
        { scenario, candidate, seed: 1, speed, nonce: '', ...world },
        registries,
      );
      expect(problems).toEqual([]);
    }
  });

  it('says of every candidate how it ends and why', async () => {
    const { scenario } = await loadScenario(name, registries);
    expect(Object.keys(scenario.expect).sort()).toEqual(Object.keys(scenario.candidates).sort());
    for (const { verdict, checks } of Object.values(scenario.expect)) {
      if (verdict === 'fail') expect(Object.values(checks)).toContain('fail');
      else expect(Object.values(checks)).not.toContain('fail');
    }
  });
});
