import { realClock } from '../clock.ts';
import { loadAdapter } from '../pools/load.ts';
import { watchLoop } from '../vitals.ts';
import { fdChannel } from './channel.ts';
import { AppWorker, type WorkerHost } from './worker.ts';

/** An app worker as a process of its own. */
const channel = fdChannel({
  message: message => worker.hear(message),
  end: () => process.exit(0),
});

const loopDelayMs = watchLoop();

const vitals: WorkerHost['vitals'] = () => {
  const { user, system } = process.cpuUsage();
  return {
    loopDelayP99Ms: loopDelayMs(),
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
  worker.tellLeases();
  channel.flush();
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exit(1);
});
