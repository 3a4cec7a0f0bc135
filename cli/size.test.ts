import { describe, expect, it } from 'vitest';
import { formatAge } from './age.ts';
import { formatSize } from './size.ts';
import { formatTable } from './table.ts';

describe('formatSize', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [1234, '1.23kB'],
    [999_499, '999kB'],
    [999_500, '1MB'],
    [70_812_345, '70.8MB'],
    [1.5e12, '1.5TB'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('formatAge', () => {
  it.each([
    [0, '0 seconds ago'],
    [1_000, '1 second ago'],
    [59_999, '59 seconds ago'],
    [60_000, '1 minute ago'],
    [7_200_000, '2 hours ago'],
    [86_400_000 * 6, '6 days ago'],
    [86_400_000 * 8, '1 week ago'],
    [86_400_000 * 400, '1 year ago'],
    [-5_000, '0 seconds ago'],
  ])('writes %d ms as %s', (elapsed, text) => {
    expect(formatAge(1e12, 1e12 + elapsed)).toBe(text);
  });
});

describe('formatTable', () => {
  it('aligns columns, wide characters too, and keeps strangers’ text harmless', () => {
    expect(
      formatTable(
        ['NAME', 'SIZE'],
        [
          ['日本', '1B'],
          ['a\x1b[2Jb\n', '2B'],
        ],
      ),
    ).toBe('NAME   SIZE\n日本   1B\nab     2B\n');
  });
});
