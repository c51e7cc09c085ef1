/** Exit codes of the command line. */
export const exitCodes = {
  pass: 0,
  fail: 1,
  unknown: 2,
  usage: 64,
  missing: 69,
  internal: 70,
  interrupted: 130,
  terminated: 143,
} as const;

/** Something the user can mend: one message, saying what, where and what is allowed; no stack. */
export class UsageError extends Error {
  readonly exitCode = exitCodes.usage;
}
