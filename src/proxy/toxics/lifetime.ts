import { giveUpMsDefault, type KillHow, msMax, type Toxic } from './toxic.ts';

type LifetimeAttributes = { timeout: number; how: KillHow; giveUp: number };

/**
 * Ends a connection `timeout` ms after its client came, busy or idle, as load balancers and managed databases do.
 * `how` and `giveUp` as for idle_timeout.
 */
export const lifetime: Toxic<LifetimeAttributes> = {
  type: 'lifetime',
  attributes: {
    timeout: { kind: 'integer', default: 0, min: 1, max: msMax, unit: 'ms' },
    how: { kind: 'choice', default: 'fin', of: ['fin', 'rst', 'drop'] },
    giveUp: { kind: 'integer', default: giveUpMsDefault, min: 1, max: msMax, unit: 'ms' },
  },
  watch(link, attributes, { clock }) {
    const arm = ({ timeout, how, giveUp }: LifetimeAttributes) => {
      const leftMs = link.acceptedMs + timeout - clock.nowMs();
      return clock.after(Math.max(0, Math.ceil(leftMs)), () => link.kill(how, giveUp));
    };
    let cancel = arm(attributes);
    return {
      update(changed) {
        cancel();
        cancel = arm(changed);
      },
      close: () => cancel(),
    };
  },
};
