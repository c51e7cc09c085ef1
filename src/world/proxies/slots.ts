import type { Clock } from '../../clock.ts';
import { builtFile } from '../../guardian/built.ts';
import type { SlotsCommand, SlotsConfig, SlotsEvent } from '../../slots/protocol.ts';
import { freePort } from '../port.ts';
import type { Need, ProxyControl } from '../world.ts';
import { type ProxyChild, startChild } from './child.ts';
import { call, type FaultProxy, host, type OpenProxy } from './proxy.ts';
import { borrow, checkReachable } from './toxiproxy.ts';

const portTries = 5;

type Unnumbered<T> = T extends { id: number } ? Omit<T, 'id'> : never;
type Done = Extract<SlotsEvent, { ev: 'done' }>;

/** Commands and their answers. */
class Commands {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (done: Done) => void>();
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  done(event: Done): void {
    this.#waiting.get(event.id)?.(event);
    this.#waiting.delete(event.id);
  }

  send({ tell, exited }: ProxyChild, what: string, command: Unnumbered<SlotsCommand>): Promise<void> {
    this.#last += 1;
    const id = this.#last;
    const answer = new Promise<void>((resolve, reject) => {
      this.#waiting.set(id, ({ error }) => (error === null ? resolve() : reject(new Error(error))));
      void exited.then(how => reject(new Error(`its process ended (${how})`)));
    });
    tell({ ...command, id });
    return call(this.#clock, what, answer);
  }
}

function controlOf(child: ProxyChild, commands: Commands): ProxyControl {
  return {
    addToxic: (name, type, attributes, stream = 'downstream') =>
      commands.send(child, `add toxic ${name} (${type})`, {
        do: 'add',
        toxic: { name, type, stream, attributes },
      }),
    removeToxic: name => commands.send(child, `remove toxic ${name}`, { do: 'remove', name }),
    cut: () => commands.send(child, 'cut its links', { do: 'cut' }),
  };
}

/** The port is asked for again when somebody took it in between. */
async function startFront(config: Omit<SlotsConfig, 'port'>, commands: Commands, options: OpenProxy) {
  const { clock, guardian, kill, lost } = options;
  const event = (heard: { ev: string }): void => {
    const told = heard as SlotsEvent;
    if (told.ev === 'done') commands.done(told);
    if (told.ev === 'kill') kill(told);
  };
  const main = builtFile(import.meta.url, '../../slots/main.js');
  for (let tries = 1; ; tries += 1) {
    // Below the ports the kernel gives to clients: while it refuses, nobody else shall be given it.
    const port = await freePort();
    const args = [main, JSON.stringify({ ...config, port })];
    try {
      const what = 'fault proxy (one Toxiproxy proxy per connection)';
      return { port, child: await startChild({ clock, guardian, what, args, event, lost }) };
    } catch (error) {
      if (!(error as Error).message.includes('address already in use') || tries === portTries) throw error;
    }
  }
}

/** A process of ours in front of a stock Toxiproxy, so that each connection has a proxy of its own there. */
export async function openSlots(url: string, options: OpenProxy): Promise<FaultProxy> {
  const { clock, upstreamPort, needs } = options;
  const borrowed = borrow(url, options);
  const { prefix, close } = borrowed;
  const commands = new Commands(clock);
  const rst = needs.has('idle-reset');
  try {
    const version = await checkReachable(borrowed, clock);
    const { port, child } = await startFront({ url, prefix, upstreamPort, rst }, commands, options);
    const provides: Need[] = ['latency', 'idle-kill', ...(rst ? (['idle-reset'] as const) : [])];
    return {
      control: controlOf(child, commands),
      host,
      port,
      version,
      provides,
      close: () => child.close().finally(close),
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}
