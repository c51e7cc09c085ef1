import { connect, type Socket } from 'node:net';
import { type Clock, round3 } from '../clock.ts';
import { reset, socketOptions } from '../proxy/sockets.ts';
import type { SlotsEvent, SlotToxic } from './protocol.ts';
import type { Remote } from './remote.ts';
import type { Spare } from './spares.ts';

export type KillHow = 'drop' | 'fin' | 'rst';

/** What all slots share. */
export interface SlotHost {
  clock: Clock;
  /** A proxy for one connection. */
  take(): Promise<Spare>;
  /** Those of the Toxiproxy, for every connection that is not dropped. */
  toxics: ReadonlyMap<string, SlotToxic>;
  emit(event: SlotsEvent): void;
  /** Bytes flow from now on. */
  opened(slot: Slot): void;
  /** The upstream refused or ended, and not because the client had ended first. */
  upstreamEnded(): void;
  closed(slot: Slot): void;
}

const host = '127.0.0.1';

/**
 * One client connection with a proxy of its own on the Toxiproxy, where a toxic is on all connections of a proxy:
 * opening > open > closed, or open > killing > dropped > closed.
 *
 *     client  >  this process  >  its proxy on the Toxiproxy  >  upstream
 */
export class Slot {
  readonly id: number;
  lastActivityMs: number;
  readonly #host: SlotHost;
  readonly #client: Socket;
  readonly #clientPort: number;
  #remote: Remote | null = null;
  #far: Socket | null = null;
  #answered = false;
  #state: 'opening' | 'open' | 'killing' | 'dropped' | 'closed' = 'opening';
  #stopGiveUp: (() => void) | null = null;

  constructor(id: number, client: Socket, host: SlotHost) {
    this.id = id;
    this.#host = host;
    this.#client = client;
    this.#clientPort = client.remotePort ?? 0;
    this.lastActivityMs = host.clock.nowMs();
    client.on('error', () => {}).on('close', () => this.#clientClosed());
  }

  /** Takes a proxy and dials it. Until then the client is not read. */
  async open(): Promise<void> {
    const { remote, port } = await this.#host.take();
    this.#remote = remote;
    if (this.#state !== 'opening') return this.#over();
    const far = connect({ host, port, ...socketOptions });
    this.#far = far;
    far.on('error', () => {}).on('close', () => this.#farClosed());
    far.once('connect', () => this.#opened(far));
  }

  /** A dropped connection keeps what it has. */
  async sync(): Promise<void> {
    if (this.#state === 'opening' || this.#state === 'open') await this.#remote?.sync(this.#host.toxics);
  }

  /** `giveUpMs`, of drop: from the client's first unanswered byte to its RST. */
  async kill(toxic: string, how: KillHow, giveUpMs: number): Promise<void> {
    if (this.#state !== 'open') return;
    const { clock, emit } = this.#host;
    const idleMs = round3(clock.nowMs() - this.lastActivityMs);
    this.#state = 'killing';
    // What comes meanwhile waits for the hole.
    this.#client.pause();
    if (how === 'drop') await this.#drop(giveUpMs);
    else await this.#end(how);
    const at = round3(clock.nowMs());
    emit({ ev: 'kill', toxic, link: this.id, clientPort: this.#clientPort, at, how, idleMs });
  }

  /** Closes everything at once, with what is held. */
  async destroy(): Promise<void> {
    this.#close();
    await this.#remote?.remove();
  }

  #opened(far: Socket): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.lastActivityMs = this.#host.clock.nowMs();
    this.#pass(this.#client, far);
    this.#pass(far, this.#client);
    far.once('data', () => {
      this.#answered = true;
    });
    this.#client.on('end', () => this.#state === 'open' && far.end());
    far.on('end', () => this.#farEnded());
    if (this.#client.readableEnded) far.end();
    this.#host.opened(this);
  }

  #pass(source: Socket, sink: Socket): void {
    source.on('data', chunk => {
      this.lastActivityMs = this.#host.clock.nowMs();
      if (!sink.destroyed && !sink.write(chunk)) source.pause();
    });
    sink.on('drain', () => this.#state !== 'killing' && source.resume());
  }

  async #drop(giveUpMs: number): Promise<void> {
    for (const stream of ['upstream', 'downstream'] as const)
      await this.#remote!.add({
        name: `drop-${stream}`,
        type: 'timeout',
        stream,
        attributes: { timeout: 0 },
      });
    if (this.#state !== 'killing') return;
    this.#state = 'dropped';
    const sent = () => {
      this.#stopGiveUp ??= this.#host.clock.after(giveUpMs, () => reset(this.#client));
    };
    this.#client.on('data', sent).on('end', sent);
    if (this.#client.readableEnded) sent();
    if (this.#far!.readableEnded) this.#far!.destroy();
    this.#client.resume();
  }

  async #end(how: 'fin' | 'rst'): Promise<void> {
    await this.#remote!.remove();
    if (how === 'rst') reset(this.#client);
    else this.#client.destroySoon();
    this.#far!.destroy();
    this.#state = 'closed';
  }

  #farEnded(): void {
    // Of a connection that was dropped its client is never told.
    if (this.#state === 'dropped') this.#far!.destroy();
    if (this.#state !== 'open') return;
    if (!this.#client.readableEnded) this.#host.upstreamEnded();
    // Accepted and closed without a word: its upstream refuses.
    if (this.#answered) this.#client.end();
    else reset(this.#client);
  }

  /** Also by a reset, where `closeIsReset` makes one of every close. */
  #farClosed(): void {
    const unsaid = !this.#far!.readableEnded;
    if (this.#state === 'opening') {
      this.#host.upstreamEnded();
      reset(this.#client);
    } else if (this.#state === 'open' && unsaid) this.#farEnded();
    else if (this.#state === 'open') this.#client.destroySoon();
    this.#over();
  }

  #clientClosed(): void {
    this.#stopGiveUp?.();
    // The server has not heard of a drop: its session lasts until it ends by itself.
    if (this.#state === 'opening' || this.#state === 'open') this.#close();
    this.#over();
  }

  #close(): void {
    this.#state = 'closed';
    this.#stopGiveUp?.();
    this.#client.destroy();
    this.#far?.destroy();
  }

  #over(): void {
    // Without a proxy yet: `open` comes back here.
    if (this.#remote === null || !this.#client.closed || this.#far?.closed === false) return;
    void this.#remote.remove().then(() => this.#host.closed(this));
  }
}
