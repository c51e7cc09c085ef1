import type { Clock } from './clock.ts';
import type { Plan } from './plan.ts';
import type { Observer } from './request.ts';
import type { SoakStatus } from './soak/soak.ts';

export interface Screen {
  write(text: string): void;
  /** Can redraw a line. */
  terminal: boolean;
}

const redrawMs = 250;
const lineMs = 5000;

/** What a run looks like while it goes on: redrawn on a terminal, a line every few seconds elsewhere. */
export function showProgress(screen: Screen, clock: Clock): Observer & { stop(): void } {
  let plan: Plan | null = null;
  let head = '';
  let status: SoakStatus | null = null;
  let folder: string | null = null;
  const line = () => (plan && status ? `${head} ${statusText(plan, status)}` : `${head} starting`);
  const draw = () => {
    if (head !== '') screen.write(screen.terminal ? `\r\u001b[2K${line()}` : `${line()}\n`);
  };
  const clear = () => {
    if (screen.terminal) screen.write('\r\u001b[2K');
  };
  const stop = clock.every(screen.terminal ? redrawMs : lineMs, draw);
  return {
    folder: dir => {
      folder = dir;
    },
    trial(next, done, of) {
      plan = next;
      status = null;
      head = `[${done + 1}/${of}] ${next.candidate}${of > done && next.seed !== 1 ? ` seed ${next.seed}` : ''}:`;
      draw();
    },
    status: next => {
      status = next;
    },
    judged(trial) {
      clear();
      const odd =
        trial.expected && !trial.expected.asExpected ? ` (not as expected: ${trial.expected.because})` : '';
      screen.write(`${head} ${trial.verdict}${odd}\n`);
      head = '';
    },
    ended({ virtual, ratio, replay }) {
      clear();
      if (!virtual) return;
      screen.write(`virtual time: ${Math.round(ratio)} s in each real second of the trials\n`);
      screen.write(`the same again: ${replay}\n`);
    },
    warn: text => screen.write(`warning: ${text}\n`),
    stop() {
      clear();
      head = '';
      stop();
      if (folder !== null) screen.write(`results in ${folder}\n`);
      folder = null;
    },
  };
}

function statusText({ durationMs, speed }: Plan, status: SoakStatus): string {
  const { acked, rejected, failed, open } = status.counts;
  const { total, idle, acquired, waiting, down } = status.gauges();
  const elapsed = clockText(Math.min(status.elapsedMs(), durationMs) * speed);
  const downText =
    down > 0 && status.phase() !== 'starting' && status.phase() !== 'close' ? `, ${down} down` : '';
  return (
    `${status.phase()} ${elapsed} of ${clockText(durationMs * speed)} | ` +
    `submits ${acked} acked, ${rejected} rejected, ${failed} failed, ${open} open | ` +
    `connections ${total} (${acquired} acquired, ${idle} idle), ${waiting} waiting${downText}`
  );
}

/** 1200000 -> 20:00 */
function clockText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
