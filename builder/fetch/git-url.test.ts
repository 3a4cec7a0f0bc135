import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../core/index.ts';
import { parseRef, parseSubdir } from './git-ref.ts';
import { parseModules } from './git-submodules.ts';
import { parseGitUrl, submoduleUrl } from './git-url.ts';
import { fileNameOf, parseHttpUrl, showUrl } from './http-url.ts';

describe('parseGitUrl', () => {
  it.each([
    ['https://example.org/a/b.git', 'https', 'example.org'],
    ['https://example.org:8443/b.git', 'https', 'example.org:8443'],
    ['http://127.0.0.1:80/x', 'http', '127.0.0.1:80'],
    ['ssh://git@example.org:22/a.git', 'ssh', 'example.org:22'],
    ['ssh://[::1]/a.git', 'ssh', '[::1]'],
    ['git://example.org/a', 'git', 'example.org'],
    ['git@example.org:a/b.git', 'ssh', 'example.org'],
  ])('takes %s', (text, protocol, host) => {
    expect(parseGitUrl(text)).toMatchObject({ text, protocol, host });
  });

  it.each([
    '',
    'repository',
    '/srv/repository.git',
    './repository.git',
    'file:///srv/repository.git',
    'ext::sh -c touch% /tmp/x',
    'ext::sh',
    'fd::17/x',
    'ftp://example.org/x.git',
    '--upload-pack=/bin/sh',
    '-oProxyCommand=x@example.org:x',
    'ssh://-oProxyCommand=touch/x',
    'ssh://git@-host/x',
    'ssh://-git@host/x',
    'git@-host:x',
    'git@host:-x',
    'git@host:--upload-pack=x',
    'https://example.org/a\nb.git',
    'https://example.org/a b.git',
    'https://example.org/$(x)`y`.git',
    'https://example.org/../../x.git',
    'https://example.org',
    'https://example.org/',
    'https:///x.git',
    'https://example.org:0/x.git',
    'https://example.org:99999/x.git',
    'https://example.org\\@evil/x.git',
    'HTTPS://example.org/x.git',
    'host:path',
    'git@https://example.org/x.git',
    'https://example.org/$x.git',
    'https://example.org/x.git#main',
  ])('refuses %j', (text) => {
    expect(() => parseGitUrl(text)).toThrow(ToolError);
  });

  it('refuses passwords without repeating them', () => {
    for (const text of ['https://me:hush@example.org/x.git', 'https://hush@example.org/x.git', 'ssh://git:hush@h/x']) {
      const failure = (() => {
        try {
          return parseGitUrl(text);
        } catch (error) {
          return error;
        }
      })();

      expect(failure).toBeInstanceOf(ToolError);
      expect(String(failure)).not.toContain('hush');
    }
  });

  it('gives git nothing that it could take for an option or another transport', () => {
    const nasty = fc.string({
      unit: fc.constantFrom(...'abc-:/@.~%+[]"\\ \n#?=$'.split(''), 'https://', 'git@', 'ext::'),
      maxLength: 30,
    });
    fc.assert(
      fc.property(nasty, (text) => {
        let url: ReturnType<typeof parseGitUrl>;
        try {
          url = parseGitUrl(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ToolError);
          return;
        }
        expect(url.text).toMatch(/^(?:(?:https?|ssh|git):\/\/[A-Za-z0-9_[]|[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9[])/);
        expect(url.text).not.toMatch(/[\s\\#?"'$`]|^[^/[]*::/);
        expect(url.hostname).not.toMatch(/^-/);
      }),
      { numRuns: 3000, examples: [['git@ext::https://'], ['git@ext::sh -c x'], ['ext::https://a/b']] },
    );
  });
});

describe('submoduleUrl', () => {
  const https = parseGitUrl('https://example.org/group/app.git');
  const scp = parseGitUrl('git@example.org:group/app.git');

  it.each([
    [https, '../lib.git', 'https://example.org/group/lib.git'],
    [https, '../../other/lib', 'https://example.org/other/lib'],
    [https, './inner.git', 'https://example.org/group/app.git/inner.git'],
    [https, 'https://other.example/lib.git', 'https://other.example/lib.git'],
    [https, 'git@other.example:lib.git', 'git@other.example:lib.git'],
    [scp, '../lib.git', 'git@example.org:group/lib.git'],
    [scp, '../../lib.git', 'git@example.org:lib.git'],
  ])('resolves from %o', (parent, text, expected) => {
    expect(submoduleUrl(parent, text).text).toBe(expected);
  });

  it.each([
    [https, '../../../evil.example/x.git'],
    [https, '../../../../../x.git'],
    [https, '../../..//evil.example/x.git'],
    [https, 'http://example.org/lib.git'],
    [https, 'git://example.org/lib.git'],
    [https, 'file:///etc'],
    [https, '/srv/lib.git'],
    [https, 'ext::sh -c x'],
    [https, '--upload-pack=x'],
    [https, './../-x/../../../..'],
    [scp, '../../../x'],
  ])('refuses from %o', (parent, text) => {
    expect(() => submoduleUrl(parent, text)).toThrow(ToolError);
  });
});

describe('parseModules', () => {
  it('understands names with dots and line breaks in values', () => {
    const listed =
      'submodule.a.b.path\nlib/a\0submodule.a.b.url\n../x\0submodule.c.path\nc\0submodule.c.url\nu\0submodule.c.update\nnone\0';

    expect([...parseModules(listed)]).toEqual([['lib/a', '../x']]);
  });
});

describe('parseRef', () => {
  it.each(['main', 'v1.2.3', 'feature/x', 'refs/heads/main', 'HEAD', 'a'.repeat(40), 'release-1'])(
    'takes %s',
    (text) => {
      expect(parseRef(text)).toBe(text);
    },
  );

  it.each([
    '',
    '-x',
    '--upload-pack=x',
    'a..b',
    'a b',
    'a\nb',
    'a~1',
    'a^{}',
    'a:b',
    '@',
    'a@{1}',
    '.a',
    'a/.b',
    'a.lock',
    'a//b',
    '/a',
    'a/',
    'a.',
    '*',
    'a\\b',
  ])('refuses %j', (text) => {
    expect(() => parseRef(text)).toThrow(expect.objectContaining({ code: 'FETCH_GIT_REF' }));
  });
});

describe('parseSubdir', () => {
  it('keeps inside the repository', () => {
    expect(parseSubdir('/a//b/./c/')).toBe('a/b/c');
    expect(parseSubdir('.')).toBe('');
    for (const text of ['..', 'a/../../b', '../x']) expect(() => parseSubdir(text)).toThrow(ToolError);
  });
});

describe('parseHttpUrl', () => {
  it.each(['ftp://x/y', 'file:///etc/passwd', 'https://', 'https://a b/', 'x', 'https://h/a\nb', 'javascript:1'])(
    'refuses %j',
    (text) => {
      expect(() => parseHttpUrl(text)).toThrow(expect.objectContaining({ code: 'FETCH_URL_INVALID' }));
    },
  );

  it('refuses credentials without repeating them, and shows no query', () => {
    expect(() => parseHttpUrl('https://me:hush@h/x')).toThrow(
      expect.objectContaining({ code: 'FETCH_URL_CREDENTIALS' }),
    );
    expect(() => parseHttpUrl('https://me:hush@h/x')).not.toThrow(/hush/);
    expect(showUrl(parseHttpUrl('https://h/x?token=hush'))).toBe('https://h/x');
  });

  it.each([
    ['https://h/a/b.tar.gz?x=1', 'b.tar.gz'],
    ['https://h/a%20b', 'a b'],
    ['https://h/a%2fb', undefined],
    ['https://h/%2e%2e', undefined],
    ['https://h/a/', undefined],
    ['https://h', undefined],
    ['https://h/%00', undefined],
    [`https://h/${'a'.repeat(256)}`, undefined],
    ['https://h/%zz', '%zz'],
  ])('names the file of %s', (text, name) => {
    expect(fileNameOf(parseHttpUrl(text))).toBe(name);
  });
});
