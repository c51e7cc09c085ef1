import { overMs, windowsOf } from './faults.ts';
import { type Span, touches, union } from './spans.ts';
import type { Tables } from './tables.ts';
import { spoiltOverMs } from './vitals.ts';

/** When the harness's own SELECT 1 says nothing about the machine. */
function probeDisturbed({ plan, faults }: Tables): Span[] {
  const disturbing = faults.injected.filter(
    ({ planned }) => planned.kind === 'outage' || planned.disturbsProbe,
  );
  return union(windowsOf(disturbing, { afterMs: plan.secondMs }));
}

export const probesOf = (tables: Tables) => tables.vitals.probes(probeDisturbed(tables));

/** Marks submits that the machine spoilt: late at the start, or slow when their worker or the server was. */
export function markSpoilt(tables: Tables, slowSeconds: readonly Span[]): number {
  const { plan, submits, vitals, examples } = tables;
  const limitMs = spoiltOverMs(plan);
  const slowLoops = vitals.slowLoops();
  let spoilt = 0;
  for (let row = 0; row < submits.length; row += 1) {
    const fromMs = submits.scheduledMs.get(row);
    const lagMs = submits.sentMs.get(row) - fromMs;
    // What happened after its user had gone changes nothing for them.
    const toMs = submits.late(row) ? fromMs + plan.patienceMs : submits.endMs(row);
    const loops = slowLoops.get(submits.lifeOf(row).worker) ?? [];
    if (lagMs <= limitMs && !touches(loops, fromMs, toMs) && !touches(slowSeconds, fromMs, toMs)) continue;
    submits.raise(row, 'spoilt');
    examples.add('spoilt', submits.line.get(row), lagMs);
    spoilt += 1;
  }
  return spoilt;
}

/** Marks submits that an outage excuses: they came while it lasted, or were not done when it began. */
export function markExcused({ plan, submits, faults }: Tables): void {
  const outages = faults.outages.map(fault => ({
    fromMs: fault.injectMs,
    toMs: overMs(fault) + plan.secondMs,
  }));
  for (let row = 0; row < submits.length; row += 1) {
    const scheduledMs = submits.scheduledMs.get(row);
    const excused = outages.some(({ fromMs, toMs }) => {
      if (scheduledMs >= fromMs) return scheduledMs <= toMs;
      return scheduledMs >= fromMs - plan.patienceMs && !(submits.endMs(row) <= fromMs);
    });
    if (excused) submits.raise(row, 'excused');
  }
}
