import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDeb822Sources, parseOneLineSources, parseStanzas } from './apt-sources.ts';

describe('parseOneLineSources', () => {
  it('reads options, components and comments', () => {
    const text = [
      '# a comment',
      'deb http://packages.example/debian bookworm main contrib # trailing',
      'deb [ arch=amd64,arm64 signed-by=/keys/own.gpg trusted=yes ] http://packages.example/debian bookworm-updates main',
      'deb-src http://packages.example/debian bookworm main',
    ].join('\n');

    const [plain, withOptions, ...others] = parseOneLineSources(text);

    expect(plain).toEqual({
      uris: ['http://packages.example/debian'],
      suites: ['bookworm'],
      components: ['main', 'contrib'],
      options: new Map(),
    });
    expect(Object.fromEntries(withOptions?.options ?? [])).toEqual({
      architectures: 'amd64 arm64',
      'signed-by': '/keys/own.gpg',
      trusted: 'yes',
    });
    expect(others).toEqual([]);
  });

  it('keeps a flat archive, which has no components', () => {
    expect(parseOneLineSources('deb http://packages.example/flat ./')).toMatchObject([
      { suites: ['./'], components: [] },
    ]);
  });

  it('leaves out what apt could not use', () => {
    expect(parseOneLineSources('deb\ndeb http://packages.example\ndeb [a=b http://x y z\ndebug http://x y z')).toEqual(
      [],
    );
  });

  it('ignores whatever else a line holds without failing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const source of parseOneLineSources(`deb ${text}`)) expect(source.uris).toHaveLength(1);
      }),
    );
  });
});

describe('parseDeb822Sources', () => {
  it('reads several stanzas with comments, continuation lines and an embedded key', () => {
    const text = [
      'Types: deb deb-src',
      '# between fields',
      'URIs: http://one.example/debian',
      ' http://two.example/debian',
      'Suites: bookworm bookworm-updates',
      'Components: main',
      'Signed-By:',
      ' -----BEGIN PGP PUBLIC KEY BLOCK-----',
      ' .',
      ' -----END PGP PUBLIC KEY BLOCK-----',
      '',
      '',
      'types: deb',
      'uris: http://three.example/debian',
      'suites: bookworm-security',
      'components: main',
    ].join('\n');

    const [first, second] = parseDeb822Sources(text);

    expect(first).toMatchObject({
      uris: ['http://one.example/debian', 'http://two.example/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main'],
    });
    expect(first?.options.get('signed-by')).toBe(
      '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END PGP PUBLIC KEY BLOCK-----',
    );
    expect(second).toMatchObject({ uris: ['http://three.example/debian'], suites: ['bookworm-security'] });
  });

  it.each(['Enabled: no', 'Enabled: False', 'Types: deb-src'])('leaves a stanza out for %s', (line) => {
    const stanza = `Types: deb\nURIs: http://packages.example/debian\nSuites: bookworm\nComponents: main\n${line}`;

    expect(parseDeb822Sources(stanza)).toEqual([]);
  });

  it('reads back any list of words', () => {
    const words = fc.array(fc.stringMatching(/^[a-z][a-z0-9:/._-]{0,20}$/), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(words, words, words, (uris, suites, components) => {
        const text = `Types: deb\nURIs: ${uris.join(' ')}\nSuites:\n ${suites.join('\n ')}\nComponents: ${components.join('\t')}\n`;

        expect(parseDeb822Sources(text)).toEqual([{ uris, suites, components, options: new Map() }]);
      }),
    );
  });
});

describe('parseStanzas', () => {
  it('never gives an empty stanza or a field without a name, whatever it reads', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom('', ' ', '# x', ' more', 'Field: value', ':', 'x'));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        for (const stanza of parseStanzas(lines.join('\n'))) {
          expect(stanza.size).toBeGreaterThan(0);
          expect(stanza.has('')).toBe(false);
        }
      }),
    );
  });
});
