import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { BuildfileError } from '../buildfile/problems.ts';
import { emptyLock, type LockContent, sameContent, sortPinned } from './lock-content.ts';
import { formatLock, parseLock } from './lock-text.ts';

const one = sha256('one');
const libc = { name: 'libc6', version: '2.36-9+deb12u9', architecture: 'amd64', hash: sha256('libc') };
const tzdata = { name: 'tzdata', version: '2024a-0+deb12u1', architecture: 'all', hash: sha256('tzdata') };

const full: LockContent = {
  images: new Map([['docker.io/library/debian:bookworm', one]]),
  urls: new Map([['https://example.org/a?b="c"', sha256('two')]]),
  git: new Map([['https://example.org/x.git#main', '0123456789abcdef0123456789abcdef01234567']]),
  packages: new Map([['apt linux/amd64 tzdata', [tzdata]]]),
  bootstraps: new Map([['debian/bookworm linux/amd64 variant=minbase security=true', [tzdata, libc]]]),
};

function problemsOf(
  text: string,
): readonly { readonly code: string; readonly line: number; readonly message: string }[] {
  try {
    parseLock(text, 'Buildfile.lock');
  } catch (error) {
    if (!(error instanceof BuildfileError)) throw error;
    return error.problems.map(({ code, message, position }) => ({ code, line: position.line, message }));
  }
  return [];
}

describe('formatLock', () => {
  it('writes entries sorted, one per line, with LF', () => {
    expect(
      formatLock(full),
    ).toBe(`# What the network answered when this Buildfile was built. Kiln writes this file; commit it beside the Buildfile.
# kiln outdated says what is behind, kiln update moves it, kiln build --no-lock does without.
version = 1

[images]
"docker.io/library/debian:bookworm" = "${one}"

[urls]
"https://example.org/a?b=\\"c\\"" = "${sha256('two')}"

[git]
"https://example.org/x.git#main" = "0123456789abcdef0123456789abcdef01234567"

[packages]
"apt linux/amd64 tzdata" = [
  "tzdata 2024a-0+deb12u1 all ${sha256('tzdata')}",
]

[bootstraps]
"debian/bookworm linux/amd64 variant=minbase security=true" = [
  "libc6 2.36-9+deb12u9 amd64 ${sha256('libc')}",
  "tzdata 2024a-0+deb12u1 all ${sha256('tzdata')}",
]
`);
  });

  it('is what parseLock reads, whatever is in it', () => {
    const word = fc.stringMatching(/^[!-~]{1,12}$/);
    const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter(isKey);
    const digest = fc.string().map((text) => sha256(text));
    const set = fc
      .uniqueArray(
        fc.record({
          name: word,
          version: word,
          architecture: word,
          hash: fc.oneof(
            word.filter((text) => text !== '-'),
            fc.constant(''),
          ),
        }),
        {
          maxLength: 5,
          selector: ({ name, architecture }) => `${name} ${architecture}`,
        },
      )
      .map(sortPinned);
    const entries = <V>(value: fc.Arbitrary<V>) =>
      fc.uniqueArray(fc.tuple(key, value), { maxLength: 4, selector: ([name]) => name }).map((all) => new Map(all));
    const content = fc.record({
      images: fc
        .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}\.[a-z]{2}\/[a-z]{1,8}:[a-z0-9]{1,8}$/), digest), {
          maxLength: 4,
          selector: ([name]) => name,
        })
        .map((all) => new Map(all)),
      urls: entries(digest),
      git: entries(fc.stringMatching(/^[0-9a-f]{40}$/)),
      packages: entries(set),
      bootstraps: entries(set),
    });

    fc.assert(
      fc.property(content, (generated) => {
        const text = formatLock(generated);
        const read = parseLock(text, 'Buildfile.lock');
        expect(sameContent(read, generated)).toBe(true);
        expect(formatLock(read)).toBe(text);
      }),
    );
  });
});

describe('parseLock', () => {
  it('reads a text that Kiln did not write as one that it wrote', () => {
    const written = formatLock(full);
    const touched = written.replace('version = 1', 'version   = 1');

    expect(parseLock(touched, 'Buildfile.lock')).toEqual(parseLock(written, 'Buildfile.lock'));
    expect(sameContent(parseLock(touched, 'Buildfile.lock'), full)).toBe(true);
  });

  it.each([
    ['a repeated package', '  "libc6 2.36-9+deb12u9 amd64', '  "tzdata 2.36-9+deb12u9 all', 'LOCK_REPEATED'],
    ['a damaged digest', `"${one}"`, `"${one.slice(0, -1)}"`, 'LOCK_BAD_VALUE'],
    ['a damaged commit', '"0123456789abcdef', '"0123456789abcdeg', 'LOCK_BAD_VALUE'],
    ['a digest for a tag', 'debian:bookworm"', `debian@${one}"`, 'LOCK_BAD_VALUE'],
    [
      'a string for a set',
      '"apt linux/amd64 tzdata" = [',
      '"x" = "y"\n"apt linux/amd64 tzdata" = [',
      'LOCK_WRONG_TYPE',
    ],
    ['an open set', ']\n\n[bootstraps]', '\n[bootstraps]', 'LOCK_SYNTAX'],
    ['a name twice', '\n[urls]', `"docker.io/library/debian:bookworm" = "${one}"\n\n[urls]`, 'LOCK_SYNTAX'],
  ])('finds %s in a text that Kiln wrote', (_, from, to, code) => {
    const text = formatLock(full);
    expect(text).toContain(from);

    expect(problemsOf(text.replace(from, to))).toMatchObject([{ code }]);
  });

  it('takes CRLF, a byte order mark, other orders and comments', () => {
    const reordered = `\ufeff${formatLock(full).replace('version = 1', 'version = 1 # mine').replaceAll('\n', '\r\n')}`;

    expect(sameContent(parseLock(reordered, 'Buildfile.lock'), full)).toBe(true);
    const [bottom, top] = ['  "libc6', '  "tzdata'].map((begin) => {
      const lines = formatLock(full).split('\n');
      return lines.findLastIndex((line) => line.startsWith(begin));
    });
    const lines = formatLock(full).split('\n');
    const swapped = lines.with(bottom ?? 0, lines[top ?? 0] ?? '').with(top ?? 0, lines[bottom ?? 0] ?? '');
    expect(formatLock(parseLock(swapped.join('\n'), 'Buildfile.lock'))).toBe(formatLock(full));
  });

  it('takes an empty lock', () => {
    expect(sameContent(parseLock('version = 1\n', 'Buildfile.lock'), emptyLock)).toBe(true);
  });

  it('names all problems at once, each with its place', () => {
    const text = [
      'version = 1',
      'extra = 2',
      '[images]',
      '"docker.io/library/debian" = "sha256:00"',
      '"Upper:1" = 3',
      '[git]',
      '"https://example.org/x.git#main" = "main"',
      '[packages]',
      '"apt linux/amd64 a" = [',
      '  "a 1 all",',
      ']',
      '[bootstraps]',
      `"debian/x" = ["b 1 all x", "b 2 all y"]`,
    ].join('\n');

    const found = problemsOf(text).map(({ code, line }) => `${line} ${code}`);

    expect(found).toEqual([
      '2 LOCK_UNKNOWN_KEY',
      '4 LOCK_BAD_VALUE',
      '4 LOCK_BAD_VALUE',
      '5 LOCK_BAD_VALUE',
      '5 LOCK_WRONG_TYPE',
      '7 LOCK_BAD_VALUE',
      '10 LOCK_BAD_VALUE',
      '13 LOCK_REPEATED',
    ]);
  });

  it('says only that the version is a newer one, when it is', () => {
    expect(problemsOf('version = 2\nwonders = true\n')).toEqual([
      {
        code: 'LOCK_VERSION',
        line: 1,
        message: 'this lock file has version 2; this Kiln knows version 1: use a newer Kiln',
      },
    ]);
  });

  it('says that a version is missing', () => {
    expect(problemsOf('[images]\n')).toMatchObject([{ code: 'LOCK_MISSING_KEY' }]);
  });

  it('says where a merge left its conflict', () => {
    const text = `version = 1\n[images]\n<<<<<<< ours\n"a.example/x:1" = "${one}"\n=======\n>>>>>>> theirs\n`;

    expect(problemsOf(text)).toMatchObject([{ code: 'LOCK_CONFLICT', line: 3 }]);
  });

  it('never fails otherwise than with problems, whatever the bytes', () => {
    const text = formatLock(full);
    const damaged = fc
      .tuple(fc.nat(text.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 20 }))
      .map(([at, length, inserted]) => text.slice(0, at) + inserted + text.slice(at + length));

    fc.assert(
      fc.property(fc.oneof(damaged, fc.string({ unit: 'binary' })), (bytes) => {
        for (const { code, message } of problemsOf(bytes)) {
          expect(code).toMatch(/^LOCK_/);
          expect(message).not.toMatch(/[\u0000-\u001f\u007f]/);
        }
      }),
    );
  });

  it('does not reach what every object has', () => {
    expect(problemsOf('version = 1\n[urls]\n"__proto__" = "x"\n')).not.toEqual([]);
    expect(problemsOf('version = 1\n[__proto__]\nx = 1\n')).not.toEqual([]);
    expect(parseLock(`version = 1\n[git]\n"constructor" = "${'a'.repeat(40)}"\n`, 'x').git.get('toString')).toBe(
      undefined,
    );
  });
});

function isKey(text: string): boolean {
  return !/[\u0000-\u001f\u007f]/.test(text) && text !== '__proto__' && text.isWellFormed();
}
