import { describe, expect, it } from 'vitest';
import { compareListings } from './compare-listings.ts';
import { comparePreimages } from './compare-preimages.ts';

describe('comparePreimages', () => {
  it('finds nothing in equal ones', () => {
    expect(comparePreimages([['verb', 'run']], [['verb', 'run']])).toEqual([]);
  });

  it('names inputs that changed, came, and went', () => {
    expect(
      comparePreimages(
        [
          ['to', '/a'],
          ['mode', 420],
        ],
        [
          ['to', '/b'],
          ['owner', '1:1'],
        ],
      ),
    ).toEqual([
      { input: 'to', before: '/a', after: '/b' },
      { input: 'mode', before: '420' },
      { input: 'owner', after: '1:1' },
    ]);
  });

  it('names the elements of a list that differ, by what stands before their =', () => {
    expect(
      comparePreimages([['packages', ['curl=1 amd64', 'nginx=1.22']]], [['packages', ['nginx=1.24', 'zlib=3']]]),
    ).toEqual([
      { input: 'packages', part: 'curl', before: '1 amd64' },
      { input: 'packages', part: 'nginx', before: '1.22', after: '1.24' },
      { input: 'packages', part: 'zlib', after: '3' },
    ]);
  });

  it('says where the order of a list changed, and shows a command whole', () => {
    expect(comparePreimages([['list', ['a', 'b']]], [['list', ['b', 'a']]])).toEqual([
      { input: 'list', part: 'order', before: 'a', after: 'b' },
    ]);
    expect(comparePreimages([['argv', ['sh', 'a=1']]], [['argv', ['sh', 'a=2']]])).toEqual([
      { input: 'argv', before: '["sh","a=1"]', after: '["sh","a=2"]' },
    ]);
  });
});

describe('compareListings', () => {
  const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

  it('names files by content, and entries by what else differs', () => {
    const before = [`file 644 1 3 ${digest('a')} "x"`, `file 644 1 3 ${digest('b')} "y"`, 'directory 755 1 "d"'];
    const after = [`file 644 1 3 ${digest('c')} "x"`, `file 755 1 3 ${digest('b')} "y"`, 'match directory "d"'];

    expect(compareListings('files', before, after)).toEqual([
      { input: 'files', part: 'd', before: 'directory 755 1' },
      { input: 'files', part: 'x', before: digest('a'), after: digest('c') },
      { input: 'files', part: 'y', before: 'file 644 1 3', after: 'file 755 1 3' },
    ]);
  });

  it('reads names of any bytes, and no line that is not one', () => {
    expect(compareListings('files', ['nonsense', '"'], [`file 644 1 1 ${digest('a')} "\\"\u00c3\u00a4 b\\""`])).toEqual(
      [{ input: 'files', part: '"ä b"', after: digest('a') }],
    );
  });
});
