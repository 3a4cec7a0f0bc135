import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkChecksum, parseFetchUrl, urlFileName } from './fetch-url.ts';

describe('parseFetchUrl', () => {
  it.each([
    'https://example.org/a/b.tar.gz',
    'https://example.org:8443/a?b=c',
    'http://127.0.0.1:1234/x',
    'https://example.org/x.git.tar',
  ])('reads %s as a file', (url) => {
    expect(parseFetchUrl(url)).toEqual({ kind: 'http', url });
  });

  it.each([
    ['https://example.org/x.git', { url: 'https://example.org/x.git' }],
    ['https://example.org/x.git#main', { url: 'https://example.org/x.git', ref: 'main' }],
    ['https://example.org/x.git#refs/tags/v1:a/b', { ref: 'refs/tags/v1', subdir: 'a/b' }],
    ['https://example.org/x.git#:a', { url: 'https://example.org/x.git', subdir: 'a' }],
    ['https://example.org/x.git#', { url: 'https://example.org/x.git' }],
    ['git://example.org/x', { url: 'git://example.org/x' }],
    ['ssh://git@example.org:22/x#v1', { url: 'ssh://git@example.org:22/x', ref: 'v1' }],
    ['git@example.org:a/b.git#v1:c', { url: 'git@example.org:a/b.git', ref: 'v1', subdir: 'c' }],
    ['me@example.org:/a/b', { url: 'me@example.org:/a/b' }],
  ])('reads %s as a git repository', (url, expected) => {
    expect(parseFetchUrl(url)).toMatchObject({ kind: 'git', ...expected });
  });

  it.each([
    '',
    'example.org/x',
    './x.git',
    '/srv/x.git',
    'file:///srv/x.git',
    'ext::sh -c x',
    'https:example.org/x.git',
    'HTTPS://example.org/x.git',
    'https:///x',
    'https://example.org/a b',
    'https://example.org/a\n.git',
    'https://example.org\\x.git',
    'https://me@example.org/x',
    'https://:secret@example.org/x.git',
    'ssh://me:secret@example.org/x',
    'ssh://-oProxyCommand=x/y',
    'ssh://%2doProxyCommand=x/y',
    'ssh://-x@example.org/y',
    'ssh://example.org',
    '-x@example.org:y',
    'git@-x:y',
    'git@example.org:-y',
    '--upload-pack=x',
    'https://example.org/x#main',
    'https://example.org/x.git#-x',
    'https://example.org/x.git#a..b',
    'https://example.org/x.git#a~1',
    'https://example.org/x.git#a\u0001',
    'https://example.org/x.git#a:../b',
    'https://example.org/x.git#a:-b',
    `https://example.org/x.git#${'a'.repeat(251)}`,
  ])('refuses %j', (url) => {
    expect(parseFetchUrl(url)).toEqual(expect.any(String));
  });

  it('gives git nothing that it could take for an option, whatever the text', () => {
    const part = fc.constantFrom(
      'https://',
      'ssh://',
      'git://',
      'git@',
      'h',
      '-',
      '%2d',
      ':',
      '/',
      '.git',
      '#',
      '@',
      ' ',
      '\\',
      '..',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const source = parseFetchUrl(parts.join(''));
        if (typeof source === 'string' || source.kind !== 'git') return;
        const { url, ref = '', subdir = '' } = source;
        expect(`${url}${ref}`).not.toMatch(/[\s\\]/);
        expect(subdir).not.toContain('\n');
        expect([url, ref, subdir].filter((text) => text.startsWith('-'))).toEqual([]);
        const authority = /^\w+:\/\/([^/]*)/.exec(url)?.[1] ?? /^[^/]*/.exec(url)?.[0] ?? '';
        expect(authority).not.toMatch(/^-|@-|@[^:]+:-/);
        expect(subdir.split('/').reduce((depth, name) => depth + (name === '..' ? -1 : 1), 0)).toBeGreaterThanOrEqual(
          0,
        );
      }),
      { numRuns: 2000 },
    );
  });
});

describe('checkChecksum', () => {
  it('takes digests of files and commits in full', () => {
    const good = [`sha256:${'0'.repeat(64)}`, 'a'.repeat(40), 'a'.repeat(64)];
    const bad = ['', 'sha256:0', 'a'.repeat(39), 'A'.repeat(40), `sha512:${'0'.repeat(128)}`, `${'a'.repeat(40)}\n`];

    expect(good.filter((text) => checkChecksum(text) !== undefined)).toEqual([]);
    expect(bad.filter((text) => checkChecksum(text) === undefined)).toEqual([]);
  });
});

it.each([
  ['https://example.org/a/b.tar.gz?x=/y', 'b.tar.gz'],
  ['https://example.org/', undefined],
  ['https://example.org', undefined],
])('urlFileName(%s) is %s', (url, name) => {
  expect(urlFileName(url)).toBe(name);
});
