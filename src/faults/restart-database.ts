import { z } from 'zod';
import { defineFault, duration } from './fault.ts';

/** The database is stopped, stays down for a while and is started again. */
export const restartDatabase = defineFault({
  name: 'restart-database',
  summary: 'stops the database (fast or immediate), leaves it down, starts it',
  kind: 'outage',
  settings: z.strictObject({
    how: z.enum(['fast', 'immediate']).default('fast'),
    down: duration(),
  }),
  example: { how: 'fast', down: '60s' },
  needs: ['stop-server'],
  disturbsProbe: true,
  lastsMs: ({ down }) => down,
  async inject(world, _id, { how }) {
    await world.server.stop(how);
    return () => world.server.start();
  },
});
