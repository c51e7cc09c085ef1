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
  const guardian = await openGuardian({ clock: edges.clock });
  try {
    for (const plan of plans) {
      if (edges.stop.signal.aborted) break;
      edges.observe.trial(plan, facts.ledgers.length, plans.length);
      facts.ledgers.push(ledgerName(plan));
      results.note(facts);
      await runTrial(plan, request, results.ledgerPath(ledgerName(plan)), guardian, edges);
      edges.observe.judged(results.write(facts).trials.at(-1)!);
    }
  } finally {
    await guardian.close();
  }
  return results.write(finish(facts, edges));
}

async function runTrial(plan: Plan, request: RunRequest, path: string, guardian: Guardian, edges: RunEdges) {
  const { clock, events, signal } = startTrial(edges);
  const { settings, appSlots } = plan.server;
  const { trial, seed } = plan;
  const world = await openWorld({
    appSlots,
    settings,
    trial,
    seed,
    clock: edges.clock,
    guardian,
    events,
    signal,
  });
  const ledger = new Ledger({ path, nowMs: clock.nowMs, secrets: world.secrets });
  let complete = false;
  try {
    const { faults, pools } = request.registries;
    const versions = {
      poolsoak: version,
      node: process.version,
      ...pools[plan.candidateSpec.pool]!.versions(),
    };
    const { loopDelayMs, observe } = edges;
    const spawn = processWorkers(guardian);
    await soak({
      plan,
      world,
      ledger,
      clock,
      events,
      faults,
      spawn,
      versions,
      signal,
      loopDelayMs,
      watch: observe.status,
    });
    complete = !signal.aborted;
  } finally {
    ledger.close(complete);
    await world.close();
  }
}
