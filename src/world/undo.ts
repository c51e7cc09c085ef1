/** What was opened, to be closed in reverse. */
export interface Undo {
  add(what: string, close: () => Promise<void> | void): void;
  /** Closes everything, whatever fails on the way. Rejects with all failures, the first one in front. */
  run(): Promise<void>;
}

export function openUndo(): Undo {
  const steps: { what: string; close: () => Promise<void> | void }[] = [];
  return {
    add: (what, close) => void steps.push({ what, close }),
    async run() {
      const errors: Error[] = [];
      for (let step = steps.pop(); step; step = steps.pop()) {
        try {
          await step.close();
        } catch (error) {
          errors.push(new Error(`${step.what}: ${(error as Error).message}`, { cause: error }));
        }
      }
      if (errors.length > 0) throw new AggregateError(errors, errors.map(error => error.message).join('; '));
    },
  };
}
