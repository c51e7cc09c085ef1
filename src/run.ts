import { Ledger } from './ledger/ledger.ts';
import { Pace } from './pace.ts';
import { openPlaces, type Place } from './place.ts';
import type { Plan } from './plan.ts';
import type { Report } from './report.ts';
import { finish, ledgerName, planRun, type RunEdges, type RunRequest } from './request.ts';
import { createResults } from './results.ts';
import { soak } from './soak/soak.ts';
import { startTrial } from './trial.ts';
import { version } from './version.ts';

export type { RunEdges, RunRequest } from './request.ts';

/**
 * scenario -> plan -> world -> app workers -> soak -> ledger -> metrics -> checks -> report -> reporters.
 * One trial after the other; after each its ledger stands in the result folder, and what is made of all of them
 * once a second at most.
 */
export async function run(request: RunRequest, edges: RunEdges): Promise<Report> {
  const { plans, facts, out } = await planRun(request, edges);
  const results = createResults(out, facts, request.reporters);
  edges.observe.folder(out);
  const pace = new Pace(edges.clock);
  const opened: { ledger: Ledger | null } = { ledger: null };
  const places = await openPlaces(request, edges);
  try {
    for (const plan of plans) {
      if (edges.stop.signal.aborted) break;
      edges.observe.trial(plan, facts.ledgers.length, plans.length);
      const ledger = ledgerName(plan);
      results.note({ ...facts, ledgers: [...facts.ledgers, ledger] });
      const path = results.ledgerPath(ledger);
      const trial = (place: Place) => runTrial(plan, request, path, { place, edges, pace, opened });
      // The place is kept nowhere: a virtual world shall be gone when its trial is judged.
      if (!(await places.of(plan).stay(trial))) break;
      edges.observe.status(null);
      facts.ledgers.push(ledger);
      edges.observe.judged(results.judge(ledger));
      if (pace.due()) results.write(facts);
    }
  } catch (error) {
    // A virtual world that broke down never came to its trial's own end.
    opened.ledger?.close(false);
    const cut = plans
      .slice(facts.ledgers.length, opened.ledger ? facts.ledgers.length + 1 : 0)
      .map(ledgerName);
    results.cutShort(finish({ ...facts, ledgers: [...facts.ledgers, ...cut] }, pace, edges));
    throw error;
  } finally {
    await places.close();
  }
  const ended = finish(facts, pace, edges);
  edges.observe.ended(ended);
  return results.write(ended);
}

interface Around {
  place: Place;
  edges: RunEdges;
  pace: Pace;
  /** The trial's ledger while it is open. */
  opened: { ledger: Ledger | null };
}

/** false: asked to stop before there was anything to record. */
async function runTrial(plan: Plan, request: RunRequest, path: string, around: Around) {
  const { place, edges, pace, opened } = around;
  const { clock, events, signal } = startTrial({ clock: place.clock, stop: place.stopOf(edges.stop) });
  const { faults, pools } = request.registries;
  const { trial, seed, server, candidateSpec, needs } = plan;
  const opening = place.openWorld({ ...server, trial, seed, needs, events, signal });
  const world = await opening.catch(error => (signal.aborted ? null : Promise.reject(error)));
  if (!world) return false;
  try {
    const { nowMs } = clock;
    const ledger = new Ledger({ path, nowMs, secrets: world.secrets, failed: events.failed });
    opened.ledger = ledger;
    const versions = { poolsoak: version, node: process.version, ...pools[candidateSpec.pool]!.versions() };
    const { loopDelayMs, spawn } = place;
    let complete = false;
    try {
      const watch = edges.observe.status;
      const entered = pace.watch(clock, plan.speed);
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
        watch,
        entered,
      });
      complete = !signal.aborted;
    } finally {
      ledger.close(complete);
    }
    opened.ledger = null;
  } finally {
    await world.close();
    events.rethrow();
  }
  return true;
}
