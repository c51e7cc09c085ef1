import type { KillHow, Toxic } from './toxic.ts';

type ResetAttributes = { how: KillHow };

/**
 * Ends every connection that is open when it is added or updated, idle ones too: `how` rst or fin. Later ones are left
 * alone: `refuse` and `accept_then_close` are for those.
 */
export const reset: Toxic<ResetAttributes> = {
  type: 'reset',
  attributes: { how: { kind: 'choice', default: 'rst', of: ['rst', 'fin'] } },
  openOnly: true,
  watch(link, { how }, { clock }) {
    let cancel = clock.after(0, () => link.kill(how));
    return {
      update(changed) {
        cancel();
        cancel = clock.after(0, () => link.kill(changed.how));
      },
      close: () => cancel(),
    };
  },
};
