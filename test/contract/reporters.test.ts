import { describe, expect, it } from 'vitest';
import { judge } from '../../src/checks/verdict.ts';
import { planTrial } from '../../src/plan.ts';
import { registries } from '../../src/registries.ts';
import { buildReport, type Report, type RunFacts, trialReport } from '../../src/report.ts';
import * as barrel from '../../src/reporters/index.ts';
import type { Reporter } from '../../src/reporters/reporter.ts';
import { validateScenario } from '../../src/scenario.ts';
import { story } from '../fixtures/story.ts';
import { Hand } from '../metrics/hand.ts';

const hostile = 'red \u001b[31m and \u202e bell \u0007';

function report(): Report {
  const { scenario } = validateScenario(story(), registries);
  const request = {
    scenario: scenario!,
    candidate: 'good',
    seed: 1,
    speed: 1,
    host: 'embedded',
    engine: 'postgres',
    path: null,
    nonce: '',
  } as const;
  const { plan } = planTrial(request, registries);
  const hand = new Hand({ ...plan, candidate: 'good' });
  for (let n = 0; n < 20; n += 1) hand.fine(10 * n);
  const metrics = hand.measure();
  const { verdict, checks, unknownBecause } = judge(plan, metrics);
  const odd = checks.map((check, n) =>
    n === 0 ? { ...check, verdict: 'fail' as const, because: hostile } : check,
  );
  const judged = {
    plan,
    versions: { server: '18.4', pg: '8' },
    metrics,
    verdict,
    checks: odd,
    unknownBecause,
  };
  const facts = {
    id: 'x',
    status: 'done',
    version: '0',
    scenario: 'short-story',
    story: hostile,
    seed: 1,
    speed: 1,
    virtual: false,
    world: { engine: 'postgres', host: 'embedded', version: null },
    warnings: [hostile],
    replay: 'poolsoak run x',
  } as unknown as RunFacts;
  return buildReport(facts, [
    trialReport({ ...judged, ledger: 'good-1.ledger.ndjson', ledgerSha256: 'f00' }),
  ]);
}

const reporters = Object.values(barrel as unknown as Record<string, Reporter>);

describe.each(reporters.map(reporter => [reporter.name, reporter] as const))('%s', (_name, reporter) => {
  it('has a name, a file and a summary of its own', () => {
    expect(
      reporters.filter(other => other.file === reporter.file || other.name === reporter.name),
    ).toHaveLength(1);
    expect(reporter.summary.length).toBeGreaterThan(10);
  });

  it('gives equal text for equal reports, ending with a line end', () => {
    const text = reporter.render(report());
    expect(reporter.render(report())).toBe(text);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('names candidate, verdict and ledger', () => {
    const text = reporter.render(report());
    for (const word of ['good', 'good-1.ledger.ndjson']) expect(text).toContain(word);
    expect(text.toLowerCase()).toContain('pass');
  });

  it('lets no control character of others through', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come through
    expect(reporter.render(report())).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f\u202e]/);
  });

  it('copes with a run in which nothing was judged', () => {
    expect(reporter.render(buildReport({ ...report().run, world: {} } as unknown as RunFacts, []))).toMatch(
      /\n$/,
    );
  });
});
