import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realClock, waitUntil, within } from '../../src/clock.ts';
import { durationMs } from '../../src/duration.ts';
import { type Fault, isDuration, kindOf, needsOf, type Planned } from '../../src/faults/fault.ts';
import { registries } from '../../src/registries.ts';
import { lackOf } from '../../src/world/lacks.ts';
import { hasToxiproxy, proxyCases, type StockToxiproxy, startToxiproxy } from '../fixtures/toxiproxy.ts';
import { appClient, eventually, openTestWorld, type TestWorld } from '../world/support.ts';

const all = Object.entries(registries.faults);

const durationsOf = (fault: Fault): string[] =>
  Object.keys(fault.settings.shape).filter(key => isDuration(fault.settings.shape[key]));

/** The example's settings as a plan would hand them over at a speed that makes the shortest duration 100 ms. */
function planned(fault: Fault): Planned<Fault['settings']> {
  const given = fault.settings.parse(fault.example) as Record<string, unknown>;
  const ms = (key: string) => durationMs(given[key] as string);
  const times = durationsOf(fault);
  const speed = Math.min(...times.map(ms).filter(each => each >= 10)) / 100;
  const scale = ([key, value]: [string, unknown]) => [key, times.includes(key) ? ms(key) / speed : value];
  return Object.fromEntries(Object.entries(given).map(scale));
}

/** Whose settings have no duration: one that is forgotten would not scale with the speed. */
const timeless = ['packet-drop'];

describe.each(all)('%s, as a description', (name, fault) => {
  it('goes by its registered name, with an example that is valid', () => {
    expect(fault.name).toBe(name);
    expect(fault.summary.length).toBeGreaterThan(10);
    expect(fault.settings.safeParse(fault.example).success).toBe(true);
  });

  it('refuses unknown settings, and durations without a unit', () => {
    expect(fault.settings.safeParse({ ...fault.example, colour: 'blue' }).success).toBe(false);
    const durations = durationsOf(fault);
    expect(durations.length === 0).toBe(timeless.includes(name));
    for (const key of durations)
      expect(fault.settings.safeParse({ ...fault.example, [key]: '5' }).success).toBe(false);
  });

  it('says how long it lasts, or leaves it to the timeline', () => {
    const lasts = fault.lastsMs(planned(fault));
    expect(lasts === null || lasts > 0).toBe(true);
    if (kindOf(fault, planned(fault)) === 'outage') expect(lasts).not.toBeNull();
  });
});

/** Every fault behind every proxy that can do it. */
const played = all.flatMap(([name, fault]) =>
  proxyCases.map(proxy => {
    const needs = [...new Set([...proxy.needs, ...needsOf(fault, planned(fault))])];
    const lacks = needs.map(need => lackOf(proxy.stock ? 'toxiproxy' : 'embedded', need)?.why ?? null);
    const lack =
      lacks.find(why => why !== null) ?? (proxy.stock && !hasToxiproxy ? 'no Toxiproxy here' : null);
    return { title: `${name}, behind ${proxy.name}`, fault, proxy, needs, lack };
  }),
);

for (const { title, fault, proxy, needs, lack } of played)
  describe.skipIf(lack !== null)(lack ? `${title} (${lack})` : title, () => {
    let stock: StockToxiproxy | null;
    let test: TestWorld;
    beforeAll(async () => {
      stock = proxy.stock ? await startToxiproxy() : null;
      test = await openTestWorld({ needs, ...(stock ? { proxy: stock.choice } : {}) });
    });
    afterAll(async () => {
      await test?.close();
      await stock?.close();
    });

    const serves = async (): Promise<boolean> => {
      try {
        const client = await appClient(test.world.endpoint);
        await client.query('SELECT 1');
        await client.end();
        return true;
      } catch {
        return false;
      }
    };

    /** One connection, quiet between looks. */
    const bites = async (): Promise<boolean> => {
      if (test.heard.kills.length > 0) return true;
      const startMs = realClock.nowMs();
      await within(realClock, 1000, quiet.query('SELECT 1'), null).catch(() => {});
      if (realClock.nowMs() - startMs >= 100) return true;
      await waitUntil(realClock, () => test.heard.kills.length > 0, { everyMs: 10, limitMs: 1000 });
      return test.heard.kills.length > 0;
    };
    let quiet: pg.Client;

    it('finds what it needs', () => {
      for (const need of needsOf(fault, planned(fault))) expect(test.world.provides).toContain(need);
    });

    it('comes, and is gone when healed; and comes again', async () => {
      for (let n = 1; n <= 2; n += 1) {
        quiet = await appClient(test.world.endpoint);
        test.heard.kills.length = 0;
        const heal = await fault.inject(test.world, `it-${n}`, planned(fault), new AbortController().signal);
        if (kindOf(fault, planned(fault)) === 'outage') expect(await serves()).toBe(false);
        else
          await eventually(
            bites,
            'it does something: a connection is ended, or an answer takes 100 ms longer',
          );
        await heal();
        await eventually(serves, 'the world serves again');
        quiet.end().catch(() => {});
        // Nothing is left of it: the same name can be used again at once.
        await test.world.proxy.addToxic(`it-${n}`, 'latency', { latency: 1, jitter: 0 });
        await test.world.proxy.removeToxic(`it-${n}`);
      }
      expect(test.heard.lost).toEqual([]);
    });
  });
