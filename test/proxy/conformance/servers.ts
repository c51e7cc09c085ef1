import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { realClock, waitUntil } from '../../../src/clock.ts';
import { freePort } from '../../../src/world/port.ts';

/** The two that have to behave alike: ours, and the one whose API it speaks. */
export type ServerName = 'embedded' | 'toxiproxy';

export interface ServerKind {
  name: ServerName;
  program: string;
  args: string[];
  /** Why its tests are skipped. */
  absent: string | null;
}

export interface RunningServer {
  name: ServerName;
  url: string;
  close(): Promise<void>;
}

const cli = fileURLToPath(new URL('../../../dist/src/cli.js', import.meta.url));
export const toxiproxyVersion = '2.12.0';
const real = process.env.POOLSOAK_TOXIPROXY ?? 'toxiproxy-server';

/** Null when it is the version that the expectations were recorded from. */
function whyAbsent(program: string): string | null {
  try {
    const said = execFileSync(program, ['-version'], { encoding: 'utf8' }).trim();
    return said.endsWith(` ${toxiproxyVersion}`) ? null : `${program} is "${said}", not ${toxiproxyVersion}`;
  } catch {
    return `no ${program}: set POOLSOAK_TOXIPROXY or have it on PATH`;
  }
}

export const embedded: ServerKind = {
  name: 'embedded',
  program: process.execPath,
  args: [cli, 'proxy'],
  absent: null,
};
export const toxiproxy: ServerKind = { name: 'toxiproxy', program: real, args: [], absent: whyAbsent(real) };
export const servers: ServerKind[] = [toxiproxy, embedded];

/** The name a suite over both goes by: a skipped one says what is missing. */
export const titleOf = ({ name, absent }: ServerKind): string => (absent ? `${name} (${absent})` : name);

const startLimitMs = 10_000;
const attempts = 3;

/** With the flags both take. The port may be somebody else's by the time it is asked for, and then there is another. */
export async function startServer(kind: ServerKind, more: string[] = []): Promise<RunningServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const child = spawn(kind.program, [...kind.args, '-port', String(port), ...more], {
      env: { ...process.env, LOG_LEVEL: 'error' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const url = `http://127.0.0.1:${port}`;
    const said = await answers(child, url);
    if (said === null) return { name: kind.name, url, close: () => end(child) };
    await end(child);
    if (attempt === attempts) throw new Error(`${kind.name} does not start: ${said}`);
  }
}

/** Null: it does. Else what it said. */
async function answers(child: ChildProcess, url: string): Promise<string | null> {
  let said = '';
  for (const output of [child.stdout!, child.stderr!])
    output.on('data', text => {
      said += text;
    });
  child.once('error', error => {
    said += error.message;
  });
  // Toxiproxy lives on without its API.
  const failed = () =>
    child.exitCode !== null || child.pid === undefined || said.includes('Server finished with error');
  const answer = () =>
    fetch(`${url}/version`).then(
      ({ ok }) => ok,
      () => false,
    );
  const up = async () => failed() || (await answer());
  const waited = await waitUntil(realClock, up, { everyMs: 10, limitMs: startLimitMs });
  return waited === 'met' && !failed() ? null : said || `no answer within ${startLimitMs} ms`;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
