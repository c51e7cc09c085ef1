#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander';
import { list, speed, whole } from './argument.ts';
import { realClock } from './clock.ts';
import { loadConfig, overlay } from './config.ts';
import { exitCodes, UsageError } from './failure.ts';
import { sweep } from './guardian/sweep.ts';
import { chosen, loadScenario, shippedScenarios } from './load.ts';
import type { Plan } from './plan.ts';
import { showProgress } from './progress.ts';
import { registries } from './registries.ts';
import type { Report } from './report.ts';
import * as reporterBarrel from './reporters/index.ts';
import type { Reporter } from './reporters/reporter.ts';
import { clean } from './reporters/words.ts';
import { readRunFacts, resultsIn } from './results.ts';
import { run } from './run.ts';
import { version } from './version.ts';
import { watchLoop } from './vitals.ts';
import { proxyChoice } from './world/proxies/proxy.ts';

/** argv -> run -> reporters -> exit code. The only reader of argv and environment, the only writer of stdout. */
const reporters: Record<string, Reporter> = Object.fromEntries(
  Object.values(reporterBarrel).map(reporter => [reporter.name, reporter]),
);

interface RunOptions {
  config?: string;
  candidates?: string[];
  engine: Plan['engine'];
  seed?: number;
  repeat?: number;
  speed?: number;
  virtual?: Plan['path'] | true;
  proxy?: string;
  out?: string;
  reporters: Reporter[];
  exitZero?: boolean;
}

async function runCommand(given: string, options: RunOptions): Promise<number> {
  const config = options.config ? await loadConfig(options.config) : {};
  const laid = options.config ? overlay(config, options.config) : {};
  const loaded = await loadScenario(given, registries, laid);
  const { scenario } = loaded;
  const seed = options.seed ?? config.defaults?.seed ?? 1;
  const repeat = options.repeat ?? config.defaults?.repeat ?? 1;
  const virtual = options.virtual === true ? 'userspace' : (options.virtual ?? null);
  const stop = new AbortController();
  const screen = {
    write: (text: string) => process.stderr.write(text),
    terminal: process.stderr.isTTY === true,
  };
  const observe = showProgress(screen, realClock);
  const signalled = onSignals(stop, observe.warn);
  try {
    await sweep({ clock: realClock });
    const report = await run(
      {
        scenario,
        given,
        ...(options.config ? { config: options.config } : {}),
        registries: loaded.registries,
        candidates: chosen(options, loaded, observe.warn),
        seeds: Array.from({ length: repeat }, (_, n) => seed + n),
        speed: options.speed ?? (virtual ? 1 : (config.defaults?.speed ?? scenario.speed)),
        virtual,
        proxy: proxyChoice(options.proxy ?? (virtual ? undefined : config.defaults?.proxy)),
        out: options.out ?? null,
        reporters: options.reporters,
        argv: process.argv.slice(2),
      },
      { clock: realClock, stop, observe, loopDelayMs: watchLoop() },
    );
    observe.stop();
    print(report);
    if (stop.signal.aborted && signalled() === null)
      observe.warn(`the run was stopped: ${stop.signal.reason}`);
    return signalled() ?? (stop.signal.aborted ? exitCodes.internal : verdictCode(report, options.exitZero));
  } finally {
    observe.stop();
  }
}

/** First signal: heal, stop, judge what there is. Second: leave at once; the guardian cleans up. */
function onSignals(stop: AbortController, warn: (text: string) => void): () => number | null {
  let code: number | null = null;
  const codes = {
    SIGINT: exitCodes.interrupted,
    SIGTERM: exitCodes.terminated,
    SIGHUP: exitCodes.terminated,
  };
  for (const [signal, exitCode] of Object.entries(codes))
    process.on(signal, () => {
      if (code !== null) process.exit(exitCode);
      code = exitCode;
      warn(`${signal}: healing, stopping and judging what there is; once more to leave at once`);
      stop.abort('interrupted');
    });
  return () => code;
}

function reportCommand(dir: string, { exitZero }: { exitZero?: boolean }): number {
  const facts = readRunFacts(dir);
  const warn = (text: string) => process.stderr.write(`warning: ${text}\n`);
  const report = resultsIn(dir, pickReporters(facts.reporters.join(',')), warn).write(facts);
  print(report);
  return verdictCode(report, exitZero);
}

function print(report: Report): void {
  process.stdout.write(reporters.text!.render(report));
}

const verdictCode = (report: Report, exitZero = false): number =>
  exitZero ? 0 : exitCodes[report.run.verdict];

async function cleanCommand(): Promise<number> {
  const { runs, processes, folders, others } = await sweep({ clock: realClock });
  const rest = others > 0 ? `, ${others} proxies and firewall tables` : '';
  process.stdout.write(
    `left by ${runs} dead runs: ${processes} processes ended, ${folders} folders removed${rest}\n`,
  );
  return 0;
}

function listCommand(): number {
  const section = (title: string, rows: (readonly [string, string])[]) => {
    const width = Math.max(...rows.map(([name]) => name.length));
    return `${title}\n${rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')}\n`;
  };
  const summaries = (all: Record<string, { summary: string }>) =>
    Object.entries(all).map(([name, { summary }]) => [name, summary] as const);
  process.stdout.write(
    [
      section(
        'scenarios',
        shippedScenarios().map(name => [name, ''] as const),
      ),
      section('pools', summaries(registries.pools)),
      section('faults', summaries(registries.faults)),
      section('checks', summaries(registries.checks)),
      section('reporters', summaries(reporters)),
    ].join('\n'),
  );
  return 0;
}

function pickReporters(text: string): Reporter[] {
  const names = [...new Set(text.split(',').map(name => name.trim()))];
  const unknown = names.filter(name => !Object.hasOwn(reporters, name));
  if (unknown.length > 0)
    throw new UsageError(
      `no reporter "${unknown.join('", "')}"; there are ${Object.keys(reporters).join(', ')}`,
    );
  // result.json is what every later command reads.
  return [...new Set(['json', ...names])].map(name => reporters[name]!);
}

function program(done: (code: number) => void): Command {
  const cli = new Command('poolsoak')
    .description(
      'Soaks database connection pools through restarts, idle kills and exhaustion, and judges them.',
    )
    .version(version)
    .exitOverride()
    .showHelpAfterError('(poolsoak --help, poolsoak run --help)')
    .addHelpText('after', helpText);
  cli
    .command('run [scenario]')
    .description("soak a scenario's candidates; a bare name or the path of a scenario file")
    .option('--config <file>', 'a poolsoak.config.ts whose candidates and checks are laid over the scenario')
    .option('--candidates <names>', 'only these, comma-separated', list)
    .addOption(
      new Option('--host <host>', 'where the database server comes from')
        .choices(['embedded'])
        .default('embedded'),
    )
    .addOption(new Option('--engine <engine>', 'database engine').choices(['postgres']).default('postgres'))
    .option('--seed <n>', 'fixes every submit of the scenario', whole(0, 2 ** 31))
    .option('--repeat <n>', 'run with this many seeds, from --seed on', whole(1, 1000))
    .option('--speed <n>', 'run the scenario this many times as fast', speed)
    .addOption(
      new Option(
        '--virtual [path]',
        'in virtual time, on a simulated server: hours in seconds, the same for the same seed; ' +
          'path: what lies between, a proxy (userspace) or a firewall on the wire (packet)',
      ).choices(['userspace', 'packet']),
    )
    .option('--proxy <proxy>', 'embedded (default), or toxiproxy=URL: a stock Toxiproxy on this machine')
    .option('--out <dir>', 'result folder, new or empty (default: poolsoak-results/<run id>)')
    .option(
      '--reporters <names>',
      'files to write, comma-separated',
      pickReporters,
      pickReporters('text,json'),
    )
    .option('--exit-zero', 'exit 0 also when a candidate fails or cannot be judged')
    .action(async (scenario: string | undefined, options: RunOptions) =>
      done(await runCommand(scenario ?? 'fgscan-shift', options)),
    );
  cli
    .command('report <dir>')
    .description('judge and render again from the ledgers of a result folder')
    .option('--exit-zero', 'exit 0 whatever the verdict')
    .action((dir: string, options: { exitZero?: boolean }) => done(reportCommand(dir, options)));
  cli
    .command('proxy')
    .description('the fault proxy alone, in place of toxiproxy-server (poolsoak proxy --help)')
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {});
  cli
    .command('list')
    .description('scenarios, pools, faults, checks and reporters there are')
    .action(() => done(listCommand()));
  cli
    .command('clean')
    .description('end processes and remove folders that killed runs left behind')
    .action(async () => done(await cleanCommand()));
  for (const command of cli.commands) command.exitOverride();
  return cli;
}

const helpText = `
Exit codes: 0 pass, 1 fail, 2 unknown, 64 usage, 69 something needed is missing,
70 a part of poolsoak was lost or has a bug, 130 SIGINT, 143 SIGTERM.

  poolsoak run                              the scan page, five candidates, under three minutes
  poolsoak run --candidates pg-pool-tuned   one of them
  poolsoak run ./my-scenario.ts --repeat 5  yours, with five seeds
  poolsoak run fgscan-day --virtual         eight hours, five candidates, ten seconds
  poolsoak report poolsoak-results/<id>     judge an earlier run again`;

/** One message and an exit code for whatever was thrown. */
function explain(error: unknown): number {
  // commander has told it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  const { exitCode, message, stack, code } = error as Error & { exitCode?: number; code?: string };
  if (exitCode !== undefined) {
    process.stderr.write(`poolsoak: ${clean(message)}\n`);
    return exitCode;
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    process.stderr.write(`poolsoak: the disk is full, so the run was stopped and cleaned up: ${message}\n`);
    return exitCodes.missing;
  }
  process.stderr.write(
    `poolsoak: this is a bug of poolsoak, please report it: ${stack ?? message ?? error}\n`,
  );
  return exitCodes.internal;
}

async function main(): Promise<number> {
  let code: number = exitCodes.internal;
  try {
    // Its flags are toxiproxy-server's, with one dash, which commander would take for several of one letter.
    if (process.argv[2] === 'proxy')
      return await (await import('./proxy/command.ts')).runProxy(process.argv.slice(3));
    await program(result => {
      code = result;
    }).parseAsync(process.argv);
    return code;
  } catch (error) {
    return explain(error);
  }
}

// A throw that nobody awaited is a bug of ours: said as such, and the guardian ends what was started.
process.on('uncaughtException', error => process.exit(explain(error)));
process.on('unhandledRejection', error => process.exit(explain(error)));

// Whoever reads us may leave early (`| head`): that ends the writing, not the run.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
void main().then(code => process.stdout.write('', () => process.exit(code)));
