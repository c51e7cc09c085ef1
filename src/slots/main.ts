/**
 * The process in front of a stock Toxiproxy, when connections must be told apart. Its one argument is its
 * configuration. Exit codes: 0 asked to leave, 69 the port cannot be had, 70 anything unexpected.
 */
import { createWriteStream, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { realClock } from '../clock.ts';
import { openFront } from './front.ts';
import type { SlotsCommand, SlotsConfig, SlotsEvent } from './protocol.ts';

function leave(code: number, error?: unknown): never {
  if (error !== undefined) writeSync(2, `poolsoak slots: ${(error as Error).message}\n`);
  process.exit(code);
}

const events = createWriteStream('', { fd: 3, autoClose: false });
events.on('error', error => leave(70, error));
const emit = (event: SlotsEvent): void => void events.write(`${JSON.stringify(event)}\n`);

process.on('uncaughtException', error => leave(70, error));
const config = JSON.parse(process.argv[2]!) as SlotsConfig;
const front = await openFront(config, realClock, emit).catch(error => leave(69, error));

const commands = createInterface({ input: process.stdin });
commands.on('close', () => leave(0));
commands.on('line', line => {
  const command = JSON.parse(line) as SlotsCommand;
  front.obey(command).then(
    () => emit({ ev: 'done', id: command.id, error: null }),
    (error: Error) => emit({ ev: 'done', id: command.id, error: error.message }),
  );
});
emit({ ev: 'listening' });
