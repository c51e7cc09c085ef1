import { z } from 'zod';
import { defineFault, duration } from './fault.ts';

/** A firewall, NAT or load balancer ends connections that were idle for longer than its limit. */
export const idleKill = defineFault({
  name: 'idle-kill',
  summary: 'ends connections idle for longer than a limit: silently, with FIN or with RST',
  kind: 'ambient',
  settings: z.strictObject({
    after: duration(),
    how: z.enum(['drop', 'fin', 'rst']).default('drop'),
    /** Linux retransmits into the hole for about this long before it tells the client. */
    giveUp: duration('924s'),
  }),
  example: { after: '350s', how: 'drop' },
  needs: ({ how }) => (how === 'rst' ? ['idle-kill', 'idle-reset'] : ['idle-kill']),
  disturbsProbe: false,
  lastsMs: () => null,
  async inject(world, id, { after, how, giveUp }) {
    await world.proxy.addToxic(id, 'idle_timeout', {
      timeout: Math.max(1, Math.round(after)),
      how,
      giveUp: Math.max(1, Math.round(giveUp)),
    });
    return () => world.proxy.removeToxic(id);
  },
});
