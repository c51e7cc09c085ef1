import Table from 'cli-table3';
import type { Report, TrialReport } from '../report.ts';
import type { Reporter } from './reporter.ts';
import { clean, share, time, wrap } from './words.ts';

/** What a tired engineer reads once: who lost data, why, and which knob to turn. */
export const text: Reporter = {
  name: 'text',
  summary: 'report.txt: the table and the reasons, for people',
  file: 'report.txt',
  render: report =>
    clean(
      `${[heading(report), table(report), ...report.trials.map(details(report)), ending(report)].join('\n')}\n`,
    ),
};

function heading({ run }: Report): string {
  const { scenario, seed, speed, world, version } = run;
  const timeText =
    speed === 1 ? '' : `, ${speed} times as fast (times are the scenario's; real ones are 1/${speed})`;
  const { proxy } = world;
  const through = proxy?.kind === 'toxiproxy' ? `, through Toxiproxy ${proxy.version} at ${proxy.url}` : '';
  const lines = [
    `poolsoak ${version}: ${scenario}, seed ${seed}, ${world.engine} (${world.host}${through})${timeText}`,
    ...(run.story ? [wrap(run.story, '')] : []),
    ...run.warnings.map(warning => wrap(`warning: ${warning}`, '  ')),
    ...(run.status === 'interrupted' ? ['The run was cut short.'] : []),
  ];
  return `\n${lines.join('\n')}\n`;
}

/** No borders: what is pasted into a ticket must survive it. */
const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

const head = [
  'candidate',
  'verdict',
  'acked',
  'unsaved',
  'lost/dup/torn',
  'p50',
  'p99',
  'recovered',
  'exhausted',
  'poisoned',
  'crashes',
  'opened',
  'sessions',
];

function table({ trials, run }: Report): string {
  if (trials.length === 0) return 'No candidate was soaked.';
  const rows = new Table({
    head,
    chars: bare,
    colAligns: head.map((_, n) => (n < 2 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  });
  const severalSeeds = new Set(trials.map(({ seed }) => seed)).size > 1;
  for (const trial of trials) rows.push(row(trial, run.speed, severalSeeds));
  return rows.toString().replaceAll(/ +$/gm, '');
}

function row(trial: TrialReport, speed: number, severalSeeds: boolean): string[] {
  const { writes, latency, connections, crashes } = trial;
  const unexcused = writes.unsaved - writes.excused.unsaved;
  return [
    severalSeeds ? `${trial.candidate} #${trial.seed}` : trial.candidate,
    trial.verdict.toUpperCase(),
    `${writes.acked}/${writes.scheduled - writes.rejected}`,
    writes.excused.unsaved > 0 ? `${unexcused} (+${writes.excused.unsaved})` : `${unexcused}`,
    `${writes.lost}/${writes.duplicated}/${writes.torn}`,
    percentile(latency.p50Ms, trial, speed),
    percentile(latency.p99Ms, trial, speed),
    recovered(trial, speed),
    exhausted(trial),
    String(connections.poisonedOutsideOutages),
    String(crashes),
    String(connections.opened),
    connections.serverMax === null ? '-' : String(connections.serverMax),
  ];
}

function percentile(ms: number | null, { latency }: TrialReport, speed: number): string {
  const { censoredAtMs } = latency;
  if (ms !== null && censoredAtMs !== null && ms >= censoredAtMs) return `> ${time(censoredAtMs, speed)}`;
  return time(ms, speed);
}

function recovered({ recovery }: TrialReport, speed: number): string {
  const worst = recovery.find(({ state }) => state !== 'recovered') ?? recovery.at(-1);
  if (!worst) return '-';
  return worst.state === 'recovered' ? `in ${time(worst.byMs, speed)}` : worst.state;
}

function exhausted({ exhaustion }: TrialReport): string {
  if (exhaustion.length === 0) return 'no';
  const causes = [...new Set(exhaustion.map(({ cause }) => cause))];
  return `${causes.join(', ')} x${exhaustion.length}`;
}

const marks = { pass: 'ok', fail: 'FAIL', unknown: '??' } as const;

const details =
  ({ run }: Report) =>
  (trial: TrialReport): string => {
    const seed = run.seed === trial.seed ? '' : ` (seed ${trial.seed})`;
    const lines = [
      `${trial.candidate}${seed}: ${trial.verdict.toUpperCase()}${expectedText(trial)}`,
      ...(trial.expected ? [item(trial.expected.asExpected ? 'why' : 'odd', trial.expected.because)] : []),
      ...findings(trial),
      item('', safetyText(trial)),
      item('', unsavedText(trial)),
      ...distortionLines(trial),
      item('', `ledger: ${trial.ledger}${exampleText(trial)}`),
    ];
    return `\n${lines.join('\n')}`;
  };

/** A mark, and a text that hangs beside it. */
const item = (mark: string, text: string): string => `  ${mark.padEnd(5)}${wrap(text, '       ')}`;

/** Checks that do not pass, each with its reason (those of one reason together), then the names of those that do. */
function findings({ checks, unknownBecause }: TrialReport): string[] {
  const byReason = new Map<string, { mark: string; names: string[]; because: string }>();
  for (const { name, verdict, because } of checks) {
    if (verdict === 'pass') continue;
    const entry = byReason.get(because) ?? { mark: marks[verdict], names: [], because };
    entry.names.push(name);
    byReason.set(because, entry);
  }
  const passed = checks.filter(({ verdict }) => verdict === 'pass').map(({ name }) => name);
  return [
    ...[...byReason.values()].map(({ mark, names, because }) =>
      item(mark, `${names.join(', ')}: ${because}`),
    ),
    ...(unknownBecause.length > 0 ? [item('', `unknown because: ${unknownBecause.join(', ')}`)] : []),
    ...(passed.length > 0 ? [item('ok', passed.join(', '))] : []),
  ];
}

function unsavedText({ writes }: TrialReport): string {
  const unexcused = writes.unsaved - writes.excused.unsaved;
  return (
    `unsaved without an excuse: ${unexcused} of ${writes.scheduled} (${share(unexcused, writes.scheduled)}); ` +
    `during an outage: ${writes.excused.unsaved} unsaved, ${writes.excused.saved} saved all the same`
  );
}

const expectedText = ({ expected }: TrialReport): string =>
  expected === null ? '' : expected.asExpected ? ', as expected' : ', NOT as expected';

function safetyText({ writes }: TrialReport): string {
  const { acked, lost, exposed, bound, duplicated, torn, phantom, ghost } = writes;
  const beside =
    bound.perWrite === null
      ? lost > 0
        ? ''
        : '; too few exposed to say more'
      : `: at most ${share(bound.perWrite, 1)} of the exposed`;
  const rest = `${duplicated} duplicated, ${torn} torn, ${phantom} phantom, ${ghost} ghost`;
  return `writes: ${lost} lost of ${acked} acked, ${exposed} exposed to a fault${beside}; ${rest}`;
}

const distortionLines = ({ harness }: TrialReport): string[] =>
  harness.distortion.map(({ what, costMs, against, againstMs, share: part }) => {
    const text = `${what} ${costMs.toFixed(1)} ms real against ${againstMs.toFixed(0)} ms of ${against} (${share(part, 1)})`;
    return item('', `compression: ${text}; a lower --speed is truer`);
  });

function exampleText({ examples }: TrialReport): string {
  const shown = Object.entries(examples).filter(([, lines]) => lines.length > 0);
  if (shown.length === 0) return '';
  // People count lines from 1, the ledger's `i` from 0.
  const part = ([name, lines]: [string, number[]]) => `${name} ${lines.map(i => i + 1).join(' ')}`;
  return `, lines: ${shown.map(part).join('; ')}`;
}

function ending({ run, trials }: Report): string {
  const odd = trials.filter(({ expected }) => expected && !expected.asExpected);
  const verdicts = trials.map(({ candidate, verdict }) => `${candidate} ${verdict}`).join(', ');
  const surprise =
    odd.length > 0 ? `\nNot as expected: ${odd.map(({ candidate }) => candidate).join(', ')}.` : '';
  return `\n${run.verdict.toUpperCase()}: ${verdicts || 'nothing judged'}.${surprise}\nAgain: ${run.replay}`;
}
