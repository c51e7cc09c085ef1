import { describe, expect, test } from 'vitest';
import { toxicFrom, toxics } from '../../src/proxy/installed-toxic.ts';
import type { Attribute, Attributes, KillHow, Stage } from '../../src/proxy/toxics/toxic.ts';
import { seeded } from '../../src/random.ts';
import { ManualClock } from './helpers.ts';

const valid = (attribute: Attribute): number | string =>
  attribute.kind === 'integer' ? Math.max(attribute.default, attribute.min ?? 0) : attribute.default;

/** Attributes that make it do something, whatever it is. */
const lively = (attribute: Attribute): number | string =>
  attribute.kind === 'integer' ? Math.min(50, attribute.max ?? 50) : attribute.default;

const attributesBy = (
  shape: Record<string, Attribute>,
  by: (attribute: Attribute) => number | string,
): Attributes => Object.fromEntries(Object.entries(shape).map(([name, attribute]) => [name, by(attribute)]));

class Sink {
  readonly got: string[] = [];
  ends = 0;
  push(chunk: Buffer): void {
    expect(this.ends, 'a byte after the end').toBe(0);
    this.got.push(chunk.toString());
  }
  end(): void {
    this.ends += 1;
  }
}

describe.each(Object.entries(toxics))('toxic %s', (name, toxic) => {
  test('is registered under its own type, and its attributes have usable defaults', () => {
    expect(toxic.type).toBe(name);
    const attributes = attributesBy(toxic.attributes, valid);
    expect(toxicFrom({ type: name, attributes })).toMatchObject({
      name: `${name}_downstream`,
      stream: 'downstream',
      toxicity: 1,
      attributes,
    });
  });

  test.each(Object.keys(toxic.attributes))('names the attribute %s when it is ill-typed', attribute => {
    const attributes = { ...attributesBy(toxic.attributes, valid), [attribute]: ['wrong'] };
    expect(() => toxicFrom({ type: name, attributes })).toThrow(
      `bad request body: attributes.${attribute}: expected`,
    );
  });

  const { stage, watch } = toxic;
  if (stage !== undefined) {
    const open = (sink: Sink) => {
      const clock = new ManualClock();
      const attributes = attributesBy(toxic.attributes, lively);
      return { clock, attributes, stage: stage(sink, attributes, { clock, random: seeded('contract') }) };
    };
    const feed = (clock: ManualClock, to: Stage, count: number) => {
      for (let i = 0; i < count; i += 1) {
        to.push(Buffer.from(`${i};`));
        clock.advance(3);
      }
    };
    const all = (count: number) => Array.from({ length: count }, (_, i) => `${i};`).join('');

    test('passes everything on in order and the end last', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 100);
      stage.end();
      clock.advance(100_000);
      expect([sink.got.join(''), sink.ends, stage.heldBytes, clock.pending]).toEqual([all(100), 1, 0, 0]);
    });

    test('lets go of everything in order when it is flushed', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 20);
      stage.end();
      stage.flush();
      expect([sink.got.join(''), sink.ends, stage.heldBytes, clock.pending]).toEqual([all(20), 1, 0, 0]);
    });

    test('takes new attributes without losing, doubling or overtaking', () => {
      const sink = new Sink();
      const { clock, stage, attributes } = open(sink);
      feed(clock, stage, 20);
      stage.update(attributesBy(toxic.attributes, valid));
      stage.update(attributes);
      stage.end();
      clock.advance(100_000);
      expect([sink.got.join(''), sink.ends]).toEqual([all(20), 1]);
    });

    test('forgets everything and stops its timers when it is closed', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 5);
      stage.end();
      const before = sink.got.length;
      stage.close();
      clock.advance(100_000);
      expect([sink.got.length, sink.ends, stage.heldBytes, clock.pending]).toEqual([before, 0, 0, 0]);
    });
  }

  if (watch !== undefined) {
    const open = () => {
      const clock = new ManualClock();
      const kills: KillHow[] = [];
      const link = { lastActivityMs: clock.nowMs() - 100_000, kill: (how: KillHow) => void kills.push(how) };
      const made = watch(link, attributesBy(toxic.attributes, lively), { clock, random: seeded('contract') });
      return { clock, kills, watch: made };
    };

    test('kills nothing while it is made or changed', () => {
      const { watch, kills } = open();
      watch.update(attributesBy(toxic.attributes, valid));
      expect(kills).toEqual([]);
    });

    test('stops its timers when it is closed', () => {
      const { watch, clock, kills } = open();
      watch.close();
      clock.advance(100_000_000);
      expect([kills, clock.pending]).toEqual([[], 0]);
    });
  }
});
