import { describe, expect, it } from 'vitest';
import { durationMs, parseDuration } from '../src/duration.ts';

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['8h', 28_800_000],
    ['0s', 0],
    [' 2s ', 2000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['-5s', '30', '5 parsecs', '', '1s2s', '169h', 30, null, undefined])('%s is none', text => {
    expect(parseDuration(text)).toBeNull();
  });

  it('names what it could not read, and what is allowed', () => {
    expect(() => durationMs('fast')).toThrow('"fast" is no duration: a number and its unit (ms, s, m or h)');
  });
});
