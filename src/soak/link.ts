import type { FromWorker, ToWorker } from '../worker/protocol.ts';

/** The harness's end of the line to one life of an app worker: a process, or in the virtual world a room in ours. */
export interface WorkerLink {
  send(message: ToWorker): void;
  /** Asks it to go (TERM), or ends it (KILL). */
  end(how: 'TERM' | 'KILL'): void;
}

export interface WorkerHears {
  /** One message, already parsed; anything may come, nothing is checked yet. */
  message(message: unknown): void;
  /** One of our own code in this process, which needs no check; it is the hearer's from now on. */
  told(message: FromWorker): void;
  /** What stood on the channel was no message of the protocol. */
  violation(detail: string): void;
  /** stdout or stderr of the worker. */
  output(text: string): void;
  /** Gone; everything it said was heard before. */
  exit(detail: string): void;
}

export type SpawnWorker = (worker: number, life: number, hears: WorkerHears) => WorkerLink;
