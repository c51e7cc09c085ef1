/** The fault proxy's own process, started by a harness that does not need the command line around it. */
import { leave, runProxy } from './command.ts';

process.on('uncaughtException', error => leave(70, error));
void runProxy(process.argv.slice(2));
