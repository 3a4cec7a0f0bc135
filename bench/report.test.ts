import { describe, expect, it } from 'vitest';
import { median, summarize, table } from './report.ts';

describe('median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});

describe('summarize', () => {
  const measured = new Map([
    [
      'push',
      new Map([
        ['kiln', [100, 200, 300]],
        ['docker', [500, 400, 300]],
        ['buildah', []],
      ]),
    ],
  ]);

  it('compares medians with those of kiln, and leaves out tools without a run', () => {
    expect(summarize(measured)).toEqual([
      { scenario: 'push', tool: 'kiln', runs: 3, medianMs: 200, minimumMs: 100, ratioToKiln: 1 },
      { scenario: 'push', tool: 'docker', runs: 3, medianMs: 400, minimumMs: 300, ratioToKiln: 2 },
    ]);
  });

  it('is printed as one row per scenario', () => {
    expect(table(summarize(measured)).split('\n')[1]).toMatch(/^push +200 +400 \(2×\)$/);
  });
});
