import { monitorEventLoopDelay } from 'node:perf_hooks';

const stepMs = 10;

/** Watches this process's event loop; each call gives the p99 of its delay, ms, since the last call. */
export function watchLoop(): () => number {
  const loop = monitorEventLoopDelay({ resolution: stepMs });
  loop.enable();
  return () => {
    const p99Ms = loop.percentile(99) / 1e6;
    loop.reset();
    // The monitor counts its own step as delay; without a sample yet it says NaN or 0.
    return Number.isFinite(p99Ms) ? Math.max(0, Math.round((p99Ms - stepMs) * 1000) / 1000) : 0;
  };
}
