import { describe, expect, it } from 'vitest';
import { findByteSize } from './byte-size.ts';

describe('findByteSize', () => {
  it.each([
    ['0', 0],
    ['65536', 65_536],
    ['1b', 1],
    ['512k', 524_288],
    ['512KiB', 524_288],
    ['1.5m', 1_572_864],
    ['2GB', 2_147_483_648],
    ['1t', 1_099_511_627_776],
    ['0.3', 0],
  ])('reads %s', (text, bytes) => {
    expect(findByteSize(text)).toBe(bytes);
  });

  it.each(['', 'k', '-1', '1e3', '1ib ', '1x', '1.m', '.5g', '9007199254740993', '9999999999t', '1 k'])(
    'does not read %j',
    (text) => {
      expect(findByteSize(text)).toBeUndefined();
    },
  );
});
