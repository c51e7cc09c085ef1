/** The registry of reporters: one line each. */
export { json } from './json.ts';
export { text } from './text.ts';
