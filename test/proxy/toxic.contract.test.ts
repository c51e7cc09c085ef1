import { describe, expect, test } from 'vitest';
import { toxicFrom, toxics } from '../../src/proxy/installed-toxic.ts';
import type { Attribute, Attributes, KillHow, Stage, Tools } from '../../src/proxy/toxics/toxic.ts';
import { seeded } from '../../src/random.ts';
import { ManualClock } from './helpers.ts';

const valid = (attribute: Attribute): number | string =>
  attribute.kind === 'integer' ? Math.max(attribute.default, attribute.min ?? 0) : attribute.default;

/** Toxics that lose bytes on purpose: what they let pass is a beginning of what came. */
const lossy = ['limit_data', 'nth', 'reset_peer', 'timeout'];

/** Where 50 of everything would do nothing. */
const examples: Record<string, Attributes> = {
  slicer: { average_size: 2, size_variation: 1, delay: 1500 },
  bandwidth: { rate: 1 },
};

/** Attributes that make it do something, whatever it is. */
const lively = (attribute: Attribute): number | string =>
  attribute.kind === 'integer' ? Math.min(50, attribute.max ?? 50) : attribute.default;

const attributesBy = (
  shape: Record<string, Attribute>,
  by: (attribute: Attribute) => number | string,
): Attributes => Object.fromEntries(Object.entries(shape).map(([name, attribute]) => [name, by(attribute)]));

/** Of claims that hold for some toxics only. */
const when = (holds: boolean): ((name: string, run: () => void) => void) => (holds ? test : () => {});

const tools = (clock: ManualClock): Tools => ({
  clock,
  random: seeded('contract'),
  shared: { count: 0 },
});

function fakeLink(clock: ManualClock) {
  const kills: KillHow[] = [];
  const agoMs = clock.nowMs() - 100_000;
  const link = {
    acceptedMs: agoMs,
    lastActivityMs: agoMs,
    answeredBytes: 0,
    kill: (how: KillHow) => void kills.push(how),
  };
  return { link, kills };
}

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
      const attributes = { ...attributesBy(toxic.attributes, lively), ...examples[name] };
      const { link, kills } = fakeLink(clock);
      const made = stage(sink, attributes, tools(clock), link);
      return { clock, attributes, stage: made, kills };
    };
    const feed = (clock: ManualClock, to: Stage, count: number) => {
      for (let i = 0; i < count; i += 1) {
        to.push(Buffer.from(`${i};`));
        clock.advance(3);
      }
    };
    const all = (count: number) => Array.from({ length: count }, (_, i) => `${i};`).join('');

    test('ends nothing while it is made or changed', () => {
      const { stage, kills } = open(new Sink());
      stage.update(attributesBy(toxic.attributes, valid));
      expect(kills).toEqual([]);
    });

    test('passes bytes in order, none twice, none after the end', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 100);
      stage.end();
      clock.advance(100_000);
      expect(all(100).startsWith(sink.got.join(''))).toBe(true);
      expect(sink.ends).toBeLessThanOrEqual(1);
      expect(clock.pending).toBe(0);
    });

    const lossless = !lossy.includes(name);
    const flows = lossless && !open(new Sink()).stage.blocks;
    when(flows)('passes everything on in order and the end last', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 100);
      stage.end();
      clock.advance(100_000);
      expect([sink.got.join(''), sink.ends, stage.heldBytes, clock.pending]).toEqual([all(100), 1, 0, 0]);
    });

    when(lossless)('lets go of everything in order when it is flushed', () => {
      const sink = new Sink();
      const { clock, stage } = open(sink);
      feed(clock, stage, 20);
      stage.end();
      stage.flush();
      expect([sink.got.join(''), sink.ends, stage.heldBytes, clock.pending]).toEqual([all(20), 1, 0, 0]);
    });

    when(flows)('takes new attributes without losing, doubling or overtaking', () => {
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
      const before = [sink.got.length, sink.ends];
      stage.close();
      clock.advance(100_000);
      expect([sink.got.length, sink.ends, stage.heldBytes, clock.pending]).toEqual([...before, 0, 0]);
    });
  }

  if (watch !== undefined) {
    const open = () => {
      const clock = new ManualClock();
      const { link, kills } = fakeLink(clock);
      const made = watch(link, attributesBy(toxic.attributes, lively), tools(clock));
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
