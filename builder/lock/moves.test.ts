import { describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { changed, changesBetween, emptyLock, type LockChange, sameContent } from './lock-content.ts';
import { movesBetween, packageMoves } from './moves.ts';
import type { PinnedPackage } from './pins.ts';

const [one, two] = [sha256('one'), sha256('two')];

function lock(...changes: LockChange[]) {
  return changed(emptyLock, changes);
}

function set(...texts: string[]): PinnedPackage[] {
  return texts.map((text) => {
    const [name = '', version = '', architecture = 'amd64', hash = 'h'] = text.split(' ');
    return { name, version, architecture, hash };
  });
}

describe('packageMoves', () => {
  it('names what is newer, new, gone, or another file of the same version', () => {
    const before = set('libc6 1', 'gone 1', 'same 1', 'file 1 amd64 h1');
    const after = set('file 1 amd64 h2', 'libc6 2', 'fresh 3', 'same 1');

    expect(packageMoves(before, after)).toEqual([
      { name: 'file', from: '1 (h1)', to: '1 (h2)' },
      { name: 'fresh', to: '3' },
      { name: 'gone', from: '1' },
      { name: 'libc6', from: '1', to: '2' },
    ]);
  });

  it('tells architectures apart where a set has several of a name, and else sees one package', () => {
    expect(packageMoves(set('a 1 amd64', 'a 1 i386'), set('a 1 amd64', 'a 2 i386'))).toEqual([
      { name: 'a:i386', from: '1', to: '2' },
    ]);
    expect(packageMoves(set('a 1 amd64'), set('a 2 all'))).toEqual([{ name: 'a', from: '1', to: '2' }]);
  });
});

describe('movesBetween', () => {
  it('is empty for the same content', () => {
    const content = lock({ kind: 'packages', key: 'apt:debian/12 linux/amd64 a on 00', value: set('a 1', 'b 1') });
    const same = lock({ kind: 'packages', key: 'apt:debian/12 linux/amd64 a on 00', value: set('b 1', 'a 1') });

    expect(movesBetween(content, same)).toEqual([]);
  });

  it('names what moved, is new and is not used, in the order of the file', () => {
    const before = lock(
      { kind: 'git', key: 'https://x.example/r.git#main', value: 'a'.repeat(40) },
      { kind: 'images', key: 'x.example/b:1', value: one },
      { kind: 'images', key: 'x.example/gone:1', value: one },
    );
    const after = lock(
      { kind: 'git', key: 'https://x.example/r.git#main', value: 'b'.repeat(40) },
      { kind: 'images', key: 'x.example/b:1', value: two },
      { kind: 'images', key: 'x.example/a:1', value: one },
    );

    expect(movesBetween(before, after)).toEqual([
      { kind: 'images', key: 'x.example/a:1', to: one, isNew: true },
      { kind: 'images', key: 'x.example/b:1', from: one, to: two },
      { kind: 'images', key: 'x.example/gone:1', from: one, isUnused: true },
      { kind: 'git', key: 'https://x.example/r.git#main', from: 'a'.repeat(40), to: 'b'.repeat(40) },
    ]);
    expect(sameContent(changed(before, changesBetween(before, after)), after)).toBe(true);
  });

  it.each([
    [
      'a bootstrap with other settings',
      'bootstraps',
      'debian/bookworm linux/amd64 variant=minbase security=false',
      'debian/bookworm linux/amd64 variant=minbase security=true',
    ],
    [
      'the same packages on a base that moved',
      'packages',
      'apt:debian/12 linux/amd64 curl on 00',
      'apt:debian/12 linux/amd64 curl on 11',
    ],
    [
      'another list of packages',
      'packages',
      'apt:debian/12 linux/amd64 curl on 00',
      'apt:debian/12 linux/amd64 curl nginx on 00',
    ],
  ] as const)('compares %s with what it takes the place of', (_, kind, old, now) => {
    const moves = movesBetween(
      lock({ kind, key: old, value: set('libc6 1') }),
      lock({ kind, key: now, value: set('libc6 2') }),
    );

    expect(moves).toEqual([
      { kind, key: now, packages: [{ name: 'libc6', from: '1', to: '2' }], isNew: true, instead: old },
    ]);
  });

  it('does not guess which of several an entry takes the place of, nor one that stays', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => `apt:debian/12 linux/amd64 ${name} on 00`) as [
      string,
      string,
      string,
    ];
    const value = set('libc6 1');
    const two = lock({ kind: 'packages', key: a, value }, { kind: 'packages', key: b, value });
    const stays = lock({ kind: 'packages', key: a, value }, { kind: 'packages', key: c, value });

    const instead = (before: typeof two, after: typeof two) => movesBetween(before, after).map((move) => move.instead);

    expect(instead(two, lock({ kind: 'packages', key: c, value }))).toEqual([undefined, undefined, undefined]);
    expect(instead(lock({ kind: 'packages', key: a, value }), stays)).toEqual([undefined]);
  });
});
