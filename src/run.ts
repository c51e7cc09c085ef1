import { type Guardian, openGuardian } from './guardian/guardian.ts';
import { Ledger } from './ledger/ledger.ts';
import type { Plan } from './plan.ts';
import type { Report } from './report.ts';
import { finish, ledgerName, planRun, type RunEdges, type RunRequest } from './request.ts';
import { createResults } from './results.ts';
import { processWorkers } from './soak/process-link.ts';
import { soak } from './soak/soak.ts';
import { startTrial } from './trial.ts';
import { version } from './version.ts';
import { openWorld } from './world/open.ts';

export type { RunEdges, RunRequest } from './request.ts';

/**
 * scenario -> plan -> world -> app workers -> soak -> ledger -> metrics -> checks -> report -> reporters.
 * One trial after the other; whatever is known stands in the result folder after each.
 */
export async function run(request: RunRequest, edges: RunEdges): Promise<Report> {
  const { plans, facts, out } = planRun(request, edges);
  const results = createResults(out, facts, request.reporters);
  edges.observe.folder(out);
  let soakedMs = 0;
  const guardian = await openGuardian({ clock: edges.clock });
  try {
    for (const plan of plans) {
      if (edges.stop.signal.aborted) break;
      edges.observe.trial(plan, facts.ledgers.length, plans.length);
      const ledger = ledgerName(plan);
      results.note({ ...facts, ledgers: [...facts.ledgers, ledger] });
      if (!(await runTrial(plan, request, results.ledgerPath(ledger), guardian, edges))) break;
      facts.ledgers.push(ledger);
      soakedMs += plan.durationMs;
      edges.observe.judged(results.write(facts).trials.at(-1)!);
    }
  } catch (error) {
    results.cutShort(finish(facts, soakedMs, edges));
    throw error;
  } finally {
    await guardian.close();
  }
  return results.write(finish(facts, soakedMs, edges));
}

/** false: asked to stop before there was anything to record. */
async function runTrial(plan: Plan, request: RunRequest, path: string, guardian: Guardian, edges: RunEdges) {
  const { clock, events, signal } = startTrial(edges);
  const { faults, pools } = request.registries;
  const { trial, seed, server, candidateSpec } = plan;
  const opening = openWorld({ ...server, trial, seed, clock: edges.clock, guardian, events, signal });
  const world = await opening.catch(error => (signal.aborted ? null : Promise.reject(error)));
  if (!world) return false;
  try {
    const { nowMs } = clock;
    const ledger = new Ledger({ path, nowMs, secrets: world.secrets, failed: events.ledgerFailed });
    const versions = { poolsoak: version, node: process.version, ...pools[candidateSpec.pool]!.versions() };
    const { loopDelayMs, observe } = edges;
    const spawn = processWorkers(guardian);
    let complete = false;
    try {
      const watch = observe.status;
      await soak({ plan, world, ledger, clock, events, faults, spawn, versions, signal, loopDelayMs, watch });
      complete = !signal.aborted;
    } finally {
      ledger.close(complete);
    }
  } finally {
    await world.close();
    events.rethrow();
  }
  return true;
}
