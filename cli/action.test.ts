import { describe, expect, it } from 'vitest';
import { type Action, chooseAction } from './action.ts';
import { absentFlags, type FlagTable } from './command.ts';

const table = {
  json: { kind: 'switch', summary: '' },
  depth: { kind: 'value', placeholder: 'N', summary: '' },
  add: { kind: 'list', placeholder: 'X', summary: '' },
  strict: { kind: 'switch', threeWay: true, summary: '' },
} as const satisfies FlagTable;

const actions = {
  ls: { usage: 'NAME', takes: [1, 1], flags: [] },
  put: { usage: 'NAME [FILE...]', takes: [1, 3], flags: ['add', 'depth', 'strict'] },
} as const satisfies Readonly<Record<string, Action<typeof table>>>;

function choose(action: string, words: readonly string[], flags: object = {}): string {
  return chooseAction('things', actions, table, ['json'], {
    action,
    words,
    flags: { ...absentFlags(table), ...flags },
  });
}

describe('what follows a verb of several actions', () => {
  it('is one of them, with its words and flags', () => {
    expect(choose('ls', ['a'], { json: true })).toBe('ls');
    expect(choose('put', ['a', 'b', 'c'], { add: ['x'], depth: '1', strict: false })).toBe('put');
  });

  it.each([
    ['lss', ['a'], {}, 'kiln things has no "lss"'],
    ['toString', ['a'], {}, 'kiln things has no "toString"'],
    ['ls', [], {}, 'too few words: kiln things ls NAME'],
    ['ls', ['a', 'b'], {}, '"b" is one word too many: kiln things ls NAME'],
    ['ls', ['a'], { depth: '1' }, 'kiln things ls has no flag --depth'],
    ['ls', ['a'], { add: ['x'] }, 'kiln things ls has no flag --add'],
    ['ls', ['a'], { strict: false }, 'kiln things ls has no flag --strict'],
  ])('is refused as %s %j %j', (action, words, flags, text) => {
    expect(() => choose(action, words, flags)).toThrow(text);
  });

  it('is told which action a flag belongs to', () => {
    expect(() => choose('ls', ['a'], { depth: '1' })).toThrow(
      expect.objectContaining({ code: 'USAGE_ARGUMENTS', hint: 'it belongs to kiln things put' }),
    );
  });
});
