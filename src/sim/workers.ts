import { loadAdapter } from '../pools/load.ts';
import type { Random } from '../random.ts';
import type { SpawnWorker, WorkerHears } from '../soak/link.ts';
import type { FromWorker } from '../worker/protocol.ts';
import { AppWorker } from '../worker/worker.ts';
import { Actor, type VirtualLoop } from './loop.ts';
import { workerStartMs } from './model.ts';

/**
 * App workers in the harness's own process: the code of a real one, each life an actor of its own. What an
 * error ends is the actor: its timers, its sockets, everything that would still have been called.
 */
export function virtualWorkers(loop: VirtualLoop, random: Random): SpawnWorker {
  return (worker, life, hears) => {
    const { min, max } = workerStartMs;
    const bornMs = loop.nowMs + min + random.fork(worker, life).next() * (max - min);
    const heard = toHarness(loop, hears);
    const crashed = (error: unknown) => {
      app.tellLeases();
      heard.output(String(error));
      leave('exit code 1');
    };
    const actor = new Actor(`worker-${worker}.${life}`, crashed);
    actor.output = heard.output;
    actor.exit = code => leave(`exit code ${code}`);
    const leave = (how: string) => {
      if (!actor.alive) return;
      actor.end();
      heard.exit(how);
    };
    const app = new AppWorker({
      clock: loop.clockOf(actor),
      channel: {
        send: message => {
          if (actor.alive) heard.told(own(message));
        },
        flush: () => {},
      },
      // A module of the user's is read from disk meanwhile.
      adapter: name => loop.hold(loadAdapter(name, `${actor.name}-${loop.steps}`)),
      vitals: () => ({ loopDelayP99Ms: null, rssBytes: null, cpuMs: null }),
      beats: false,
      exit: code => leave(`exit code ${code}`),
    });
    return {
      // What is said to a process that is starting waits in its pipe.
      send: message => void loop.schedule(Math.max(loop.nowMs, bornMs), actor, hear, { app, message }),
      end: how => leave(`signal SIG${how}`),
    };
  };
}

const hear = ({ app, message }: { app: AppWorker; message: Parameters<AppWorker['hear']>[0] }): void =>
  app.hear(message);

/** What is told of a submit that never ends goes on changing here. */
const own = (message: FromWorker): FromWorker =>
  message.k === 'settled' && message.open ? structuredClone(message) : message;

/** Each in a step of the harness's own, or on its behalf: an error in there is not the worker's. */
function toHarness(loop: VirtualLoop, hears: WorkerHears): Pick<WorkerHears, 'told' | 'output' | 'exit'> {
  const told = (message: FromWorker) => hears.told(message);
  const later =
    <A>(act: (argument: A) => void) =>
    (argument: A) =>
      void loop.schedule(loop.nowMs, loop.root, act, argument);
  return {
    // Most of all messages, and all they do is written down.
    told: message => loop.as(loop.root, told, message),
    output: later(text => hears.output(text)),
    exit: later(how => hears.exit(how)),
  };
}
