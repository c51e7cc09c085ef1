import { z } from 'zod';
import { defineFault, duration } from './fault.ts';

/** Every chunk takes longer, each way. */
export const latency = defineFault({
  name: 'latency',
  summary: 'delays every chunk by a time with jitter, each way',
  kind: 'ambient',
  settings: z.strictObject({ each: duration(), jitter: duration('0ms') }),
  example: { each: '50ms', jitter: '5ms' },
  needs: ['latency'],
  disturbsProbe: true,
  lastsMs: () => null,
  async inject(world, id, { each, jitter }) {
    const attributes = { latency: Math.round(each), jitter: Math.round(jitter) };
    await world.proxy.addToxic(`${id}-up`, 'latency', attributes, 'upstream');
    try {
      await world.proxy.addToxic(`${id}-down`, 'latency', attributes, 'downstream');
    } catch (error) {
      await world.proxy.removeToxic(`${id}-up`);
      throw error;
    }
    return async () => {
      await world.proxy.removeToxic(`${id}-up`);
      await world.proxy.removeToxic(`${id}-down`);
    };
  },
});
