import { z } from 'zod';
import { defineFault } from './fault.ts';

/**
 * Packets between app and proxy are lost: nothing is acknowledged, keepalives fail, retransmission runs. What was sent
 * comes after all when the fault ends before the sender's kernel gives up. `existing`: connections that exist when it
 * begins; new ones work, so the pool has no excuse. `all`: nobody gets through, an outage.
 */
export const packetDrop = defineFault({
  name: 'packet-drop',
  summary: 'loses packets between app and proxy: nothing is acknowledged (Linux, root, nftables)',
  kind: ({ which }) => (which === 'all' ? 'outage' : 'ambient'),
  settings: z.strictObject({
    which: z.enum(['existing', 'all']).default('existing'),
    /** up: what the app sends. */
    direction: z.enum(['both', 'up', 'down']).default('both'),
  }),
  example: { which: 'existing', direction: 'both' },
  needs: ['packet-loss'],
  instead:
    'idle-kill with how "drop" forgets connections without it, though its packets are still acknowledged',
  disturbsProbe: true,
  lastsMs: () => null,
  inject: (world, _id, loss) => world.firewall.drop(loss),
});
