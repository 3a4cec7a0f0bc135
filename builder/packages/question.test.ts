import { describe, expect, it } from 'vitest';
import { formatQuestion, isExact, packageNames, splitRequested, withoutRoot } from './question.ts';

describe('packageNames', () => {
  it('sorts, and drops what is said twice', () => {
    expect(packageNames({ packages: ['nginx', 'curl=8.1-1', 'nginx'] })).toEqual(['curl=8.1-1', 'nginx']);
  });

  it.each(['g++', 'libc6:i386', 'so:libz.so.1', 'python3.11', 'lib32z1=1:1.2~rc1-1+b2'])('takes %s', (name) => {
    expect(packageNames({ packages: [name] })).toEqual([name]);
  });

  it.each([
    '-oA=b',
    '--root=/',
    './x.deb',
    '/x.rpm',
    'a b',
    'a;b',
    'a*',
    'a=',
    '=1',
    '',
    'a=-1',
    '@group',
    'a\nb',
    '$(x)',
  ])('refuses %j', (name) => {
    expect(() => packageNames({ packages: [name] })).toThrow(
      expect.objectContaining({ code: 'PACKAGES_NAME_INVALID' }),
    );
  });
});

describe('a question', () => {
  const question = {
    manager: 'apt',
    distribution: 'debian/12',
    platform: { os: 'linux', architecture: 'amd64' },
    names: ['curl', 'nginx=1.22'],
    recommends: true,
    root: '3f2a9c1b7d20',
  } as const;

  it('is one line that begins with what is asked and ends with what it is asked for', () => {
    expect(formatQuestion(question)).toBe('apt:debian/12 linux/amd64 curl nginx=1.22 +recommends on 3f2a9c1b7d20');
  });

  it('is the same without the root on a base that moved', () => {
    const moved = formatQuestion({ ...question, root: '000000000000' });

    expect(withoutRoot(moved)).toBe(withoutRoot(formatQuestion(question)));
    expect(withoutRoot(moved)).toBe('apt:debian/12 linux/amd64 curl nginx=1.22 +recommends');
  });
});

describe('isExact', () => {
  it('refuses what a hostile lock file could say', () => {
    const good = { name: 'nginx', version: '1:1.22~a+b-1^x', architecture: 'amd64' };

    expect(isExact(good)).toBe(true);
    for (const odd of [
      { name: '-o' },
      { version: '1 -o x' },
      { version: '' },
      { architecture: '../x' },
      { name: 'a=b' },
    ])
      expect(isExact({ ...good, ...odd })).toBe(false);
  });
});

describe('splitRequested', () => {
  it('ends the name at the first equals sign', () => {
    expect(splitRequested('a')).toEqual({ name: 'a' });
    expect(splitRequested('a=1=2')).toEqual({ name: 'a', version: '1=2' });
  });
});
