import type { Clock } from './clock.ts';
import { Ledger } from './ledger/ledger.ts';
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
 * One trial after the other; whatever is known stands in the result folder after each.
 */
export async function run(request: RunRequest, edges: RunEdges): Promise<Report> {
  const { plans, facts, out } = planRun(request, edges);
  const results = createResults(out, facts, request.reporters);
  edges.observe.folder(out);
  const soaked = { ms: 0, wallMs: 0 };
  const due = atMostEvery(1000, edges.clock);
  const places = await openPlaces(request.virtual !== null, edges);
  try {
    for (const plan of plans) {
      if (edges.stop.signal.aborted) break;
      edges.observe.trial(plan, facts.ledgers.length, plans.length);
      const ledger = ledgerName(plan);
      results.note({ ...facts, ledgers: [...facts.ledgers, ledger] });
      const path = results.ledgerPath(ledger);
      // Not kept in a variable: a virtual world shall be gone when its trial is judged.
      const watch = stopwatch(edges.clock, soaked);
      if (!(await places.of(plan).stay(place => runTrial(plan, request, path, place, edges, watch)))) break;
      facts.ledgers.push(ledger);
      soaked.ms += plan.durationMs * plan.speed;
      edges.observe.judged(results.judge(ledger));
      if (due()) results.write(facts);
    }
  } catch (error) {
    results.cutShort(finish(facts, soaked, edges));
    throw error;
  } finally {
    await places.close();
  }
  const ended = finish(facts, soaked, edges);
  edges.observe.ended(ended);
  return results.write(ended);
}

/** Virtual trials come faster than their results could all be written anew. */
function atMostEvery(ms: number, clock: Clock): () => boolean {
  let lastMs = Number.NEGATIVE_INFINITY;
  return () => {
    const isDue = clock.nowMs() - lastMs >= ms;
    if (isDue) lastMs = clock.nowMs();
    return isDue;
  };
}

/** Counts the real time from the first submit to the last answer. */
const stopwatch = (clock: Clock, soaked: { wallMs: number }) => (phase: string) => {
  if (phase === 'soak') soaked.wallMs -= clock.nowMs();
  if (phase === 'close') soaked.wallMs += clock.nowMs();
};

/** false: asked to stop before there was anything to record. */
async function runTrial(
  plan: Plan,
  request: RunRequest,
  path: string,
  place: Place,
  edges: RunEdges,
  entered: (phase: string) => void,
) {
  const { clock, events, signal } = startTrial({ clock: place.clock, stop: edges.stop });
  const { faults, pools } = request.registries;
  const { trial, seed, server, candidateSpec } = plan;
  const opening = place.openWorld({ ...server, trial, seed, events, signal });
  const world = await opening.catch(error => (signal.aborted ? null : Promise.reject(error)));
  if (!world) return false;
  try {
    const { nowMs } = clock;
    const ledger = new Ledger({ path, nowMs, secrets: world.secrets, failed: events.failed });
    const versions = { poolsoak: version, node: process.version, ...pools[candidateSpec.pool]!.versions() };
    const { loopDelayMs, spawn } = place;
    let complete = false;
    try {
      const watch = edges.observe.status;
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
  } finally {
    await world.close();
    events.rethrow();
  }
  return true;
}
