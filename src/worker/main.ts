import { monitorEventLoopDelay } from 'node:perf_hooks';
import { realClock } from '../clock.ts';
import { loadAdapter } from '../pools/load.ts';
import { fdChannel } from './channel.ts';
import { AppWorker, type WorkerHost } from './worker.ts';

/** An app worker as a process of its own. */
const channel = fdChannel({
  message: message => worker.hear(message),
  end: () => process.exit(0),
});

const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();

const vitals: WorkerHost['vitals'] = () => {
  const p99 = loop.percentile(99) / 1e6;
  loop.reset();
  const { user, system } = process.cpuUsage();
  return {
    // The monitor reports its own 5 ms step as delay.
    loopDelayP99Ms: Number.isFinite(p99) ? Math.max(0, Math.round((p99 - 5) * 1000) / 1000) : 0,
    rssBytes: process.memoryUsage.rss(),
    cpuMs: (user + system) / 1000,
  };
};

const worker = new AppWorker({
  clock: realClock,
  channel,
  adapter: loadAdapter,
  vitals,
  beats: true,
  exit: code => process.exit(code),
});

// Dies as the application would, but what it has said leaves first.
process.on('uncaughtException', error => {
  channel.flush();
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exit(1);
});
