import { describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { BuildPins } from './build-pins.ts';
import { changed, emptyLock } from './lock-content.ts';

const [one, two] = [sha256('one'), sha256('two')];
const libc = { name: 'libc6', version: '1', architecture: 'amd64', hash: 'sha256:1' };
const zlib = { name: 'zlib1g', version: '1', architecture: 'amd64', hash: 'sha256:2' };
const locked = changed(emptyLock, [
  { kind: 'images', key: 'a.example/x:1', value: one },
  { kind: 'bootstraps', key: 'debian/x linux/amd64', value: [libc, zlib] },
]);

describe('BuildPins', () => {
  it('finds what is locked, and what was kept since', () => {
    const pins = new BuildPins(locked);

    pins.keep('git', 'https://a.example/x.git#main', 'abc');

    expect(pins.find('images', 'a.example/x:1')).toBe(one);
    expect(pins.find('git', 'https://a.example/x.git#main')).toBe('abc');
    expect(pins.find('urls', 'a.example/x:1')).toBeUndefined();
    expect(pins.changes).toEqual([{ kind: 'git', key: 'https://a.example/x.git#main', value: 'abc' }]);
    expect(locked.git.size).toBe(0);
  });

  it('has changed nothing when the answer is the same, packages in another order too', () => {
    const pins = new BuildPins(locked, { frozen: true });

    pins.keep('images', 'a.example/x:1', one);
    pins.keep('bootstraps', 'debian/x linux/amd64', [zlib, libc]);

    expect(pins.changes).toEqual([]);
  });

  it.each([
    ['a new entry', () => frozen().keep('urls', 'https://a.example/f', one), 'https://a.example/f is new'],
    [
      'another digest',
      () => frozen().keep('images', 'a.example/x:1', two),
      `x:1 ${one.slice(0, 19)} → ${two.slice(0, 19)}`,
    ],
    [
      'another set',
      () => frozen().keep('bootstraps', 'debian/x linux/amd64', [libc]),
      'debian/x linux/amd64 changes in 1 package',
    ],
    [
      'a set that another one is like',
      () => frozen().keep('bootstraps', 'debian/x linux/amd64 +more', [libc]),
      'debian/x linux/amd64 +more is new',
    ],
    [
      'another file of the same version',
      () => frozen().keep('bootstraps', 'debian/x linux/amd64', [libc, { ...zlib, hash: 'sha256:3' }]),
      'debian/x linux/amd64 changes in 1 package',
    ],
  ])('refuses %s when it is frozen', (_, keep, sentence) => {
    expect(keep).toThrowError(
      expect.objectContaining({
        code: 'LOCK_FROZEN',
        message: expect.stringContaining(sentence),
        hint: expect.anything(),
      }),
    );
  });
});

function frozen(): BuildPins {
  return new BuildPins(locked, { frozen: true });
}
