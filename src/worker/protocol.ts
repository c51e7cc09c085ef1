import type { Attempt, ConnEvent, ErrorFacts, GaugeFacts, Told } from '../ledger/record.ts';
import type { AppHabits, Endpoint } from '../pools/pool.ts';

/** The app worker protocol, version 1: NDJSON, one object a line. Times (`at`) are CLOCK_MONOTONIC ms. */
export const protocolVersion = 1;
export const lineBytesMax = 256 * 1024;
export const errorTextMax = 4096;
export const beatMs = 250;

export interface OpenMessage {
  k: 'open';
  v: number;
  trial: string;
  worker: number;
  life: number;
  endpoint: Endpoint;
  tables: { writes: string; keys: string };
  pool: string;
  settings: Record<string, unknown>;
  app: AppHabits;
  sampleMs: number;
}
export interface SubmitMessage {
  k: 'submit';
  id: number;
  session: number;
  seq: number;
  rows: number;
  valid: boolean;
}
export type ToWorker =
  | OpenMessage
  | SubmitMessage
  | { k: 'mark'; name: string }
  | { k: 'ping'; n: number }
  | { k: 'close'; deadlineMs: number };

export interface SettledMessage {
  k: 'settled';
  id: number;
  at: number;
  outcome: Told;
  open?: boolean;
  attempts: Attempt[];
  releaseError: ErrorFacts | null;
}
/** What is not known is left out. Borrow and release are for workers whose attempts have no `releasedAt`. */
export interface ConnMessage {
  k: 'conn';
  conn: number;
  ev: ConnEvent;
  at: number;
  localPort?: number | null;
  backend?: number | null;
  why?: string | null;
}
export interface ReadyMessage {
  k: 'ready';
  v: number;
  at: number;
  capabilities: { conn: boolean; gauges: boolean; virtual: boolean };
  versions: Record<string, string>;
}
export type FromWorker =
  | ReadyMessage
  | { k: 'failed'; code: string; message: string }
  | SettledMessage
  | ConnMessage
  | ({ k: 'gauges'; at: number } & GaugeFacts)
  | { k: 'pong'; n: number; at: number }
  | { k: 'beat' }
  | { k: 'closed'; at: number };
