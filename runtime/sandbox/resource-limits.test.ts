import { expect, it } from 'vitest';
import { parseHardLimits, rlimitOperations, ulimitNames } from './resource-limits.ts';

it('lets programs open the number of files that they are made for, unless told otherwise', () => {
  const ulimits = new Map([
    ['nofile', { soft: 64, hard: 128 }],
    ['core', { soft: 0, hard: -1 }],
  ]);

  expect(rlimitOperations(undefined)).toEqual([['rlimit', '7', '1024', 'keep']]);
  expect(rlimitOperations({ ulimits })).toEqual([
    ['rlimit', '7', '64', '128'],
    ['rlimit', '4', '0', 'unlimited'],
  ]);
});

it('knows each name of setrlimit(2) and no other', () => {
  const operations = rlimitOperations({ ulimits: new Map(ulimitNames.map((name) => [name, { soft: 1, hard: 1 }])) });

  expect(operations.map(([, number]) => Number(number)).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 16 }, (_, n) => n),
  );
  for (const name of ['', 'NOFILE', 'constructor', 'files']) {
    expect(() => rlimitOperations({ ulimits: new Map([[name, { soft: 1, hard: 1 }]]) })).toThrow(
      expect.objectContaining({ code: 'SANDBOX_SPEC_INVALID' }),
    );
  }
});

it('reads hard limits', () => {
  const text = [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max cpu time              unlimited            unlimited            seconds   ',
    'Max open files            1024                 524288               files     ',
    'Max nice priority         0                    0                    ',
  ].join('\n');

  expect(parseHardLimits(text)).toEqual(
    new Map([
      ['Max cpu time', Number.POSITIVE_INFINITY],
      ['Max open files', 524_288],
      ['Max nice priority', 0],
    ]),
  );
});
