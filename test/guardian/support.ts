import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { realClock, waitUntil } from '../../src/clock.ts';
import { cookieName } from '../../src/guardian/clean.ts';
import { listJournals, type ProcessId, runsFolder } from '../../src/guardian/journal.ts';
import { isAlive, processTable, startedWith } from '../../src/guardian/processes.ts';

/** A temp folder that other users can pass through, as /tmp itself. */
export function makeTmp(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'poolsoak-test-'));
  chmodSync(path, 0o711);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Harness {
  child: ChildProcess;
  cookie: string;
  folder: string;
  /** Resolves with the first message of that kind. */
  heard(ev: string): Promise<Record<string, unknown>>;
}

export const fixture = fileURLToPath(new URL('./fixtures/harness.mjs', import.meta.url));

/** Starts the fixture in a process of its own; it has a guardian when this resolves. */
export async function startHarness(tmpDir: string, what: string): Promise<Harness> {
  const child = spawn(process.execPath, [fixture, tmpDir, what], { stdio: ['ignore', 'pipe', 'inherit'] });
  const messages: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout! }).on('line', line => messages.push(JSON.parse(line)));
  const heard = async (ev: string): Promise<Record<string, unknown>> => {
    await eventually(() => messages.some(message => message.ev === ev), `the harness says ${ev}`, 20_000);
    return messages.find(message => message.ev === ev)!;
  };
  const { cookie, folder } = await heard('opened');
  return { child, cookie: cookie as string, folder: folder as string, heard };
}

export async function eventually(
  met: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 5_000,
): Promise<void> {
  const waited = await waitUntil(realClock, met, { everyMs: 10, limitMs });
  if (waited !== 'met') throw new Error(`not within ${limitMs} ms: ${what}`);
}

/** Every live process of a run, and the children of its servers, which no longer show the cookie. */
export function processesOf(cookie: string): ProcessId[] {
  const table = [...processTable().values()].filter(fact => !fact.gone);
  const own = table.filter(fact => startedWith(fact.pid, `${cookieName}=${cookie}`));
  const children = table.filter(fact => own.some(parent => parent.pid === fact.ppid));
  return [...own, ...children].map(({ pid, start }) => ({ pid, start }));
}

export function guardianOf(tmpDir: string, cookie: string): ProcessId {
  const journal = listJournals(runsFolder(tmpDir)).find(each => each.cookie === cookie)!;
  return journal.entries.find(entry => entry.k === 'guardian')!;
}

/** Resolves when nothing is left of a run: no process by its cookie or among `known`, no folder, no journal. */
export async function nothingLeft(
  tmpDir: string,
  cookie: string,
  known: ProcessId[],
  limitMs = 5_000,
): Promise<void> {
  const runs = runsFolder(tmpDir);
  const traces = (): string[] => [
    ...known.filter(isAlive).map(({ pid }) => `process ${pid}`),
    ...processesOf(cookie).map(({ pid }) => `process ${pid} by cookie`),
    ...(existsSync(runs) ? readdirSync(runs).filter(name => name.startsWith(cookie)) : []),
  ];
  await eventually(() => traces().length === 0, 'nothing left', limitMs).catch(error => {
    throw new Error(`${(error as Error).message}; left: ${traces().join(', ')}`);
  });
}

export const journalText = (tmpDir: string, cookie: string): string =>
  readFileSync(join(runsFolder(tmpDir), `${cookie}.ndjson`), 'utf8');

export function kill({ pid }: { pid?: number | undefined }, signal: NodeJS.Signals = 'SIGKILL'): void {
  process.kill(pid!, signal);
}
