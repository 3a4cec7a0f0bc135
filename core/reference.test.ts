import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from './errors.ts';
import { familiarReference, formatReference, parseReference, repositoryName, withDefaultTag } from './reference.ts';

interface Table {
  readonly in: string;
  readonly name: string;
  readonly rows: readonly unknown[];
}

function rows<T>(file: string, test: string, name: string): T[] {
  const url = new URL(`../fixtures/vectors/distribution_reference_${file}_test.json`, import.meta.url);
  const tables = JSON.parse(readFileSync(url, 'utf8')) as Table[];
  const found = tables.find((table) => table.in === test && table.name === name);
  if (found === undefined) throw new TypeError(`no vectors ${test} ${name}`);
  return found.rows as T[];
}

/** There a host needs no dot where only the grammar is tested; and sha512 is refused, which Kiln reads. */
const unlike = /^(?:Uppercase:tag|a\/a\/|validname@sha512:)/;

describe('the distribution project’s references', () => {
  it.each(rows<string>('normalize', 'TestValidateReferenceName', 'validRepoNames'))('reads %s', (name) => {
    expect(parseReference(name).repository).not.toBe('');
  });

  it.each(rows<string>('normalize', 'TestValidateReferenceName', 'invalidRepoNames'))('refuses %s', (name) => {
    expect(codeOf(() => parseReference(name))).toBe('REFERENCE_INVALID');
  });

  it.each(rows<string>('normalize', 'TestValidateRemoteName', 'invalidRepositoryNames'))('refuses %s', (name) => {
    expect(codeOf(() => parseReference(name))).toBe('REFERENCE_INVALID');
  });

  it.each(
    rows<Record<'Domain' | 'RemoteName' | 'FamiliarName' | 'FullName' | 'AmbiguousName', string>>(
      'normalize',
      'TestParseRepositoryInfo',
      'tests',
    ),
  )('reads $FullName by all its names', ({ Domain, RemoteName, FamiliarName, FullName, AmbiguousName }) => {
    for (const name of [FamiliarName, FullName, AmbiguousName].filter((text) => text !== '')) {
      const reference = parseReference(name);
      expect(reference).toEqual({ registry: Domain, repository: RemoteName });
      expect(formatReference(reference)).toBe(FullName);
      expect(familiarReference(reference)).toBe(FamiliarName);
    }
  });

  it.each(rows<{ domain: string; input: string; path: string }>('normalize', 'TestNormalizedSplitHostname', 'tests'))(
    'splits $input',
    ({ domain, input, path }) => {
      expect(parseReference(input)).toEqual({ registry: domain, repository: path });
    },
  );

  it.each(rows<{ expected: string; input: string }>('normalize', 'TestParseDockerRef', 'tests'))(
    'gives $input a tag where it has none',
    ({ expected, input }) => {
      const formatted = formatReference(withDefaultTag(parseReference(input)));

      expect(formatted.replace(/:[^:/@]+@/, '@')).toBe(expected);
    },
  );

  it.each(
    rows<{ input: string; err?: unknown; tag?: string; digest?: string }>(
      'reference',
      'TestReferenceParse',
      'tests',
    ).filter((row) => !unlike.test(row.input)),
  )('parses $input', ({ input, err, tag, digest }) => {
    if (err !== undefined) return expect(codeOf(() => parseReference(input))).toBe('REFERENCE_INVALID');
    const reference = parseReference(input);
    expect([reference.tag, reference.digest]).toEqual([tag, digest]);
  });
});

describe('parseReference', () => {
  it('says what to write instead', () => {
    expect(() => parseReference('docker/Debian')).toThrow(
      expect.objectContaining({ hint: 'names are lower case: docker/debian' }),
    );
  });

  it.each([
    '../etc/passwd',
    'a/../b',
    'a/./b',
    'host.example/a%2fb',
    'a b',
    'a\nb',
    'user@host/image',
    'host:80:80/a',
    'host.example:99x/a',
    'web:.tag',
    `web:${'t'.repeat(129)}`,
    '[::1/a',
    'é/a',
  ])('refuses %j', (text) => {
    expect(codeOf(() => parseReference(text))).toBe('REFERENCE_INVALID');
  });

  it('gives back what it formatted', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
    const host = fc.constantFrom('localhost', 'localhost:5000', 'registry.example.com', '[::1]:5000', '127.0.0.1:1');
    const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined });
    fc.assert(
      fc.property(host, fc.array(part, { minLength: 1, maxLength: 4 }), tag, (registry, path, name) => {
        const reference = { registry, repository: path.join('/'), ...(name === undefined ? {} : { tag: name }) };

        expect(parseReference(formatReference(reference))).toEqual(reference);
        expect(parseReference(familiarReference(reference))).toEqual(reference);
      }),
    );
  });

  it('either parses or refuses, and what it parses stays within its URL path', () => {
    const piece = fc.oneof(
      fc.constantFrom('/', ':', '@', '.', '..', '-', '_', 'a', 'A', '[', ']', 'sha256:', '%', '?', '#'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        try {
          const { registry, repository } = parseReference(text);
          const url = new URL(`/v2/${repository}/x`, 'http://localhost');
          expect(url.pathname).toBe(`/v2/${repository}/x`);
          expect(repositoryName({ registry, repository })).toBe(`${registry}/${repository}`);
          expect(registry).not.toMatch(/[/@?#\s]/);
        } catch (error) {
          expect(errorCode(error)).toBe('REFERENCE_INVALID');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['a', 'a.', 'a-', 'a/', '-', 'a__'])('takes no time over %j fifty thousand times', (piece) => {
    const started = performance.now();

    codeOf(() => parseReference(piece.repeat(50_000)));

    expect(performance.now() - started).toBeLessThan(500);
  });
});

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}
