import { giveUpMsDefault, type KillHow, msMax, type Toxic } from './toxic.ts';

type IdleTimeoutAttributes = { timeout: number; how: KillHow; giveUp: number };

/**
 * Ends a connection after `timeout` ms without a byte in either direction, counted from its last activity, also when
 * that was before the toxic came. `how`: drop (as a firewall), fin or rst. `giveUp` ms: how long a client that sends
 * into a dropped connection waits for its reset; the default is what Linux takes with 15 retransmissions.
 */
export const idleTimeout: Toxic<IdleTimeoutAttributes> = {
  type: 'idle_timeout',
  attributes: {
    timeout: { kind: 'integer', default: 0, min: 1, max: msMax, unit: 'ms' },
    how: { kind: 'choice', default: 'drop', of: ['drop', 'fin', 'rst'] },
    giveUp: { kind: 'integer', default: giveUpMsDefault, min: 1, max: msMax, unit: 'ms' },
  },
  watch(link, attributes, { clock }) {
    let { timeout, how, giveUp } = attributes;
    let cancel: () => void = () => {};
    // One timer per connection, set anew only when it fires: traffic costs nothing but its time stamp.
    const look = () => {
      if (leftMs() > 0) arm();
      else link.kill(how, giveUp);
    };
    const leftMs = () => link.lastActivityMs + timeout - clock.nowMs();
    const arm = () => {
      cancel = clock.after(Math.max(0, Math.ceil(leftMs())), look);
    };
    arm();
    return {
      update(changed) {
        ({ timeout, how, giveUp } = changed);
        cancel();
        arm();
      },
      close: () => cancel(),
    };
  },
};
