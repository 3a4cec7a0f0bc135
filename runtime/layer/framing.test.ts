import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';

describe('tar-stream', () => {
  it('still has the private members that framing.ts builds on', () => {
    const reading = extract() as unknown as Record<string, unknown>;

    const types = (object: Record<string, unknown>, names: readonly string[]) =>
      names.map((name) => typeof object[name]);

    expect(types(reading, ['_locked', '_finished', '_longHeader'])).toEqual(['boolean', 'boolean', 'boolean']);
    expect(types(reading, ['_missing', '_buffer', '_stream'])).toEqual(['number', 'object', 'object']);
    expect(
      types(reading, [
        '_unlockBound',
        '_createStream',
        '_continueWrite',
        '_consumeHeader',
        '_decodeLongHeader',
        '_final',
      ]),
    ).toEqual(Array.from({ length: 6 }, () => 'function'));
  });
});
