import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { machine, toml } from '../../test/host-files.ts';
import { parseConfig } from './config-file.ts';
import { afterPrefix, parseLocation } from './name-prefix.ts';
import { readRegistriesConf } from './registries-conf.ts';

const conf = (text: string) => machine({ 'containers/registries.conf': text });

describe('afterPrefix', () => {
  it.each([
    ['example.com/foo/bar', 'example.com', 'foo/bar'],
    ['example.com/foo/bar', 'example.com/foo', 'bar'],
    ['example.com/foo', 'example.com/foo', ''],
    ['example.com/foobar', 'example.com/foo', undefined],
    ['example.com:5000/foo', 'example.com', undefined],
    ['example.com.evil/foo', 'example.com', undefined],
    ['a.example.com/foo', '*.example.com', 'foo'],
    ['a.b.example.com/foo', '*.example.com', 'foo'],
    ['a.example.com/foo/bar', '*.example.com/foo', 'bar'],
    ['example.com/foo', '*.example.com', undefined],
    ['evil.com/a.example.com/foo', '*.example.com', undefined],
    ['a.example.com:5000/foo', '*.example.com', undefined],
    ['a.example.com:5000/foo', '*.example.com:5000', 'foo'],
  ])('of %s, with the prefix %s, is %s', (name, prefix, rest) => {
    expect(afterPrefix(name, prefix)).toBe(rest);
  });
});

describe('registries.conf', () => {
  it('puts mirrors first, in their order, and rewrites names', async () => {
    await using here = await conf(`
[[registry]]
prefix = "example.com/foo"
location = "internal.example.net/bar"
[[registry.mirror]]
location = "mirror-0.local/mirror-for-foo"
[[registry.mirror]]
location = "mirror-1.local:8080"
insecure = true
pull-from-mirror = "digest-only"
`);

    expect(await here.shown('example.com/foo/image')).toEqual([
      'https://mirror-0.local/v2/mirror-for-foo/image pull+resolve',
      'https://mirror-1.local:8080/v2/image pull+resolve digests unverified or http',
      'https://internal.example.net/v2/bar/image pull+resolve',
      'https://example.com/v2/foo/image push',
    ]);
    expect(await here.shown('example.com/foobar')).toEqual(['https://example.com/v2/foobar']);
  });

  it('takes the longest prefix', async () => {
    await using here = await conf(`
[[registry]]
location = "example.com"
blocked = true
[[registry]]
location = "example.com/good"
[[registry]]
prefix = "*.example.com"
insecure = true
`);

    expect(await here.shown('example.com/good/x')).toEqual(['https://example.com/v2/good/x']);
    expect(await here.shown('a.example.com/x')).toEqual(['https://a.example.com/v2/x unverified or http']);
    await expect(here.endpoints('example.com/bad')).rejects.toMatchObject({
      code: 'REGISTRY_BLOCKED',
      message: expect.stringContaining('registries.conf') as string,
    });
  });

  it('mirrors docker.io under the name it has in full', async () => {
    await using here = await conf(
      '[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "hub.local/cache"\n',
    );

    expect(await here.shown('debian')).toEqual([
      'https://hub.local/v2/cache/library/debian pull+resolve',
      'https://registry-1.docker.io/v2/library/debian as docker.io',
    ]);
  });

  it('lets drop-ins go over it, prefix by prefix and key by key', async () => {
    await using here = await machine({
      'containers/registries.conf': `
unqualified-search-registries = ["first.example"]
[aliases]
kept = "first.example/kept"
gone = "first.example/gone"
[[registry]]
location = "a.example"
blocked = true
`,
      'containers/registries.conf.d/10-late.conf': `
unqualified-search-registries = ["last.example"]
[aliases]
gone = ""
[[registry]]
location = "a.example"
insecure = true
`,
      'containers/registries.conf.d/05-early.conf': 'unqualified-search-registries = ["early.example"]',
      'containers/registries.conf.d/99.conf.bak': 'not = toml = at all',
    });
    const names = await here.hosts.shortNames();

    expect(await here.shown('a.example/x')).toEqual(['https://a.example/v2/x unverified or http']);
    expect(names.candidates('x:1')).toMatchObject([{ registry: 'last.example', repository: 'x', tag: '1' }]);
    expect(names.candidates('kept')).toMatchObject([{ registry: 'first.example', repository: 'kept' }]);
    expect(names.candidates('gone')).toMatchObject([{ registry: 'last.example', repository: 'gone' }]);
  });

  it('takes the lists of version 1', async () => {
    await using here = await conf(`
[registries.search]
registries = ['one.example']
[registries.insecure]
registries = ['two.example:5000']
[registries.block]
registries = ['three.example']
`);

    expect((await here.hosts.shortNames()).candidates('x')).toMatchObject([{ registry: 'one.example' }]);
    expect(await here.shown('two.example:5000/x')).toEqual(['https://two.example:5000/v2/x unverified or http']);
    await expect(here.endpoints('three.example/x')).rejects.toMatchObject({ code: 'REGISTRY_BLOCKED' });
  });

  it('tells all problems of a file at once, with their keys', async () => {
    await using here = await conf(`
short-name-mode = "loose"
unqualified-search-registries = ["https://x"]
[aliases]
a = "nothing"
[[registry]]
insecure = true
[[registry]]
location = "https://example.com"
[[registry]]
location = "example.com"
blocked = "yes"
[[registry.mirror]]
pull-from-mirror = "never"
`);

    const asking = here.endpoints('example.com/x');

    await expect(asking).rejects.toMatchObject({ code: 'REGISTRY_CONFIG_INVALID' });
    for (const part of [
      'containers/registries.conf:',
      'short-name-mode is to be one of enforcing, permissive, disabled',
      'unqualified-search-registries has "https://x"',
      'aliases.a is to be HOST/NAME',
      'registry[0].location is missing: give location or prefix',
      'registry[1].location is to be HOST',
      'registry[2].blocked is to be true or false',
      'registry[2].mirror[0].location is missing',
      'registry[2].mirror[0].pull-from-mirror is to be all, digest-only or tag-only',
    ]) {
      await expect(asking).rejects.toThrow(part);
    }
  });

  it('repeats no password out of an address', async () => {
    await using here = await conf('[[registry]]\nlocation = "https://me:hunter2@example.com/x"\n');

    await expect(here.endpoints('example.com/x')).rejects.toThrow('"https://…@example.com/x"');
  });

  it('says where a text is not TOML', async () => {
    await using here = await conf('a = 1\nb = = 2\n');

    await expect(here.endpoints('example.com/x')).rejects.toMatchObject({
      code: 'REGISTRY_CONFIG_INVALID',
      message: expect.stringContaining('registries.conf') as string,
    });
  });

  it('gives a configuration or a clear error for whatever a file says', async () => {
    const value = fc.oneof(
      fc.constantFrom(
        '"example.com"',
        '"*.example.com/x"',
        '""',
        'true',
        '[]',
        '[{}]',
        '{a = 1}',
        '1979-05-27',
        '[["a"]]',
      ),
      fc.string().map((text) => JSON.stringify(text)),
    );
    const key = fc.constantFrom('prefix', 'location', 'insecure', 'blocked', 'mirror-by-digest-only', 'mirror');
    const line = fc.oneof(
      fc.tuple(key, value).map(([name, text]) => `${name} = ${text}`),
      fc.constantFrom('[[registry]]', '[[registry.mirror]]', '[aliases]', '[registries.search]', '[registry]'),
      fc.tuple(fc.string(), value).map(([name, text]) => `${JSON.stringify(name)} = ${text}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        try {
          const found = await parseConfig(lines.join('\n'), 'the file', toml, (table) =>
            readRegistriesConf(table, 'the file'),
          );
          for (const { prefix, mirrors } of found.rules) {
            expect(parseLocation(prefix.replace(/^\*\./, ''))).toBeDefined();
            for (const mirror of mirrors) expect(mirror.location.host).not.toBe('');
          }
        } catch (error) {
          expect(errorCode(error)).toBe('REGISTRY_CONFIG_INVALID');
          expect(String(error)).toContain('the file');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('short names', () => {
  it('are those of docker.io without any file', async () => {
    await using here = await machine({});
    const names = await here.hosts.shortNames();

    expect(names.candidates('debian:12')).toEqual([{ registry: 'docker.io', repository: 'library/debian', tag: '12' }]);
    expect(names.candidates('me/app')).toEqual([{ registry: 'docker.io', repository: 'me/app' }]);
  });

  it.each([
    ['nginx', ['one.example/nginx', 'docker.io/library/nginx']],
    ['team/nginx', ['one.example/team/nginx', 'docker.io/team/nginx']],
    ['tool', ['quay.io/people/tool']],
    ['people/tool', ['quay.io/other/tool']],
    ['one.example/nginx', ['one.example/nginx']],
    ['localhost/nginx', ['localhost/nginx']],
    ['docker.io/nginx', ['docker.io/library/nginx']],
    ['fresh', ['remembered.example/fresh']],
  ])('%s may be %j', async (text, expected) => {
    await using here = await machine({
      'containers/registries.conf': `
unqualified-search-registries = ["one.example", "docker.io"]
[aliases]
tool = "quay.io/people/tool"
"people/tool" = "quay.io/other/tool"
`,
      'short-name-aliases.conf': '[aliases]\nfresh = "remembered.example/fresh"\n',
    });
    const names = await here.hosts.shortNames();

    expect(names.candidates(text).map(({ registry, repository }) => `${registry}/${repository}`)).toEqual(expected);
    const tagged = names.candidates(`${text}:1.2@sha256:${'a'.repeat(64)}`);
    expect(tagged).toHaveLength(expected.length);
    expect(tagged.every(({ tag, digest }) => tag === '1.2' && digest === `sha256:${'a'.repeat(64)}`)).toBe(true);
  });

  it('that may be several are refused where the mode is enforcing', async () => {
    await using here = await conf(
      'unqualified-search-registries = ["one.example", "docker.io"]\nshort-name-mode = "enforcing"\n',
    );
    const names = await here.hosts.shortNames();

    expect(() => names.candidates('nginx:1')).toThrow('one.example/nginx:1, docker.io/library/nginx:1');
    expect(names.candidates('one.example/nginx')).toHaveLength(1);
  });

  it('that may be one only are taken there too', async () => {
    await using here = await conf('unqualified-search-registries = ["one.example"]\nshort-name-mode = "enforcing"\n');

    expect((await here.hosts.shortNames()).candidates('nginx')).toHaveLength(1);
  });
});
