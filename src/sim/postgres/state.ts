/** Where a server is in its life, and with which words it refuses a client there (57P03). */

/** `recovering`: a crashed session's end was the end of all. `redo`: it reads its log after a crash. */
export type State = 'down' | 'starting' | 'redo' | 'recovering' | 'up' | 'stopping';

export const refusals: Partial<Record<State, string>> = {
  starting: 'the database system is starting up',
  redo: 'the database system is not yet accepting connections',
  recovering: 'the database system is in recovery mode',
  stopping: 'the database system is shutting down',
};
