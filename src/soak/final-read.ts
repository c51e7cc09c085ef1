import type { Clock } from '../clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { World } from '../world/world.ts';

const countAgainMs = 1000;

/**
 * Reads what the server kept, once nothing can change it any more. Every step is a note; a step that
 * fails makes the trial unknown, and the ones after it are still tried.
 */
export async function finalRead(world: World, ledger: Ledger, trial: string, clock: Clock): Promise<void> {
  const step = (name: string, act: () => Promise<string | null>) =>
    act().then(
      detail => ledger.append({ k: 'note', what: 'final-read', name, ok: true, detail }),
      error =>
        ledger.append({ k: 'note', what: 'final-read', name, ok: false, detail: (error as Error).message }),
    );
  const { sideDoor } = world;
  let read = -1;
  await step('cut-links', () => world.proxy.cut().then(() => null));
  await step('end-sessions', async () => `${await sideDoor.endAppSessions()} ended`);
  await step('prepared', async () => {
    const left = await sideDoor.preparedTransactions();
    if (left > 0) throw new Error(`${left} prepared transactions left`);
    return null;
  });
  await step('read', async () => {
    read = await sideDoor.readRows(trial, row => ledger.append({ k: 'row', ...row }));
    return `${read} rows`;
  });
  await clock.sleepMs(countAgainMs);
  await step('count-again', async () => {
    const again = await sideDoor.countRows(trial);
    if (again !== read) throw new Error(`${read} rows read, ${again} counted ${countAgainMs} ms later`);
    return `${again} rows`;
  });
}
