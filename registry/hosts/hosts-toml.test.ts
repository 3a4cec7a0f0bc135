import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { machine, toml } from '../../test/host-files.ts';
import { parseConfig } from './config-file.ts';
import { readHostsToml } from './hosts-toml.ts';

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const key = '-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n';
const hosts = (text: string, host = 'example.com') => machine({ [`containerd/certs.d/${host}/hosts.toml`]: text });

describe('hosts.toml', () => {
  it('names mirrors in the order of the file, and the server last', async () => {
    await using here = await hosts(`
server = "https://upstream.example"
[host."https://z.example"]
capabilities = ["pull"]
[host."http://a.example:5000"]
capabilities = ["pull", "resolve"]
[host."https://m.example/prefix"]
[host."https://m.example/odd/api"]
override_path = true
[host."b.example/v2"]
skip_verify = true
`);

    expect(await here.shown('example.com/app')).toEqual([
      'https://z.example/v2/app pull ns=example.com',
      'http://a.example:5000/v2/app pull+resolve ns=example.com',
      'https://m.example/prefix/v2/app ns=example.com',
      'https://m.example/odd/api/app ns=example.com',
      'https://b.example/v2/app unverified ns=example.com',
      'https://upstream.example/v2/app ns=example.com',
    ]);
  });

  it('without server leads to the registry itself in the end', async () => {
    await using here = await hosts('[host."https://mirror.gcr.io"]\n', 'docker.io');

    expect(await here.shown('debian')).toEqual([
      'https://mirror.gcr.io/v2/library/debian ns=docker.io',
      'https://registry-1.docker.io/v2/library/debian as docker.io',
    ]);
  });

  it('calls Docker’s registry by the name it answers to', async () => {
    await using here = await hosts('server = "https://docker.io"', 'docker.io');

    expect(await here.shown('debian')).toEqual(['https://registry-1.docker.io/v2/library/debian as docker.io']);
  });

  it.each(['example.com:5000', 'example.com_5000_', '_default'])('lies in the folder %s', async (folder) => {
    await using here = await hosts('[host."https://m.example"]', folder);

    expect(await here.shown('example.com:5000/app')).toEqual([
      'https://m.example/v2/app ns=example.com%3A5000',
      'https://example.com:5000/v2/app',
    ]);
  });

  it('is not asked about names that registries.conf knows', async () => {
    await using here = await machine({
      'containerd/certs.d/example.com/hosts.toml': '[host."https://m.example"]',
      'containers/registries.conf': '[[registry]]\nprefix = "example.com/team"\nlocation = "other.example"\n',
    });

    expect(await here.shown('example.com/team/app')).toEqual([
      'https://other.example/v2/app pull+resolve',
      'https://example.com/v2/team/app push',
    ]);
    expect(await here.shown('example.com/app')).toHaveLength(2);
  });

  it('gives each server its certificates and headers', async () => {
    await using here = await machine({
      'containerd/certs.d/example.com/hosts.toml': `
ca = "ca.pem"
[host."https://one.example"]
ca = ["ca.pem", "ca.pem"]
client = [["client.pem", "client.key"]]
[host."https://one.example".header]
Authorization = "Basic abc"
x-more = ["a", "b"]
[host."https://two.example"]
client = "both.pem"
`,
      'containerd/certs.d/example.com/ca.pem': pem,
      'containerd/certs.d/example.com/client.pem': pem,
      'containerd/certs.d/example.com/client.key': key,
      'containerd/certs.d/example.com/both.pem': pem + key,
    });

    const [one, two, own] = await here.endpoints('example.com/app');

    expect(one?.tls).toEqual({ authorities: [pem, pem], client: { certificate: pem, key } });
    expect(one?.headers).toEqual({ Authorization: 'Basic abc', 'x-more': 'a, b' });
    expect(two?.tls).toEqual({ client: { certificate: pem + key, key: pem + key } });
    expect(two?.headers).toBeUndefined();
    expect(own?.tls).toEqual({ authorities: [pem] });
  });

  it('tells all its problems at once, and no header’s value', async () => {
    await using here = await hosts(`
server = "ftp://x"
[host."https://user:secret@x"]
capabilities = "pull"
skip_verify = 1
ca = [1]
client = [[1, 2]]
[host."https://x".header]
"a b" = "hidden-value"
ok = "hidden\\nvalue"
`);

    const asking = here.endpoints('example.com/x');

    for (const part of [
      'server is to be the address',
      'capabilities is to be',
      'skip_verify',
      '.ca',
      'client is to be',
    ]) {
      await expect(asking).rejects.toThrow(part);
    }
    await expect(asking).rejects.toThrow('"a b" is no name of a header');
    await expect(asking).rejects.toThrow('ok is no value of a header');
    await expect(asking).rejects.not.toThrow('hidden');
    await expect(asking).rejects.not.toThrow('secret');
  });

  it('says which file with a certificate is missing', async () => {
    await using here = await hosts('ca = "/nowhere/ca.pem"');

    await expect(here.endpoints('example.com/x')).rejects.toThrow('there is no file /nowhere/ca.pem');
  });

  it('gives servers or a clear error for whatever a file says', async () => {
    const value = fc.oneof(
      fc.constantFrom('"https://a"', '["pull"]', '[["a", "b"]]', 'true', '7', '{}', '""', '"http://[::1"', '[[]]'),
      fc.string().map((text) => JSON.stringify(text)),
    );
    const name = fc.constantFrom(
      'server',
      'capabilities',
      'ca',
      'client',
      'skip_verify',
      'override_path',
      'header',
      'host',
    );
    const line = fc.oneof(
      fc.tuple(name, value).map(([left, right]) => `${left} = ${right}`),
      fc.oneof(fc.webUrl(), fc.string()).map((address) => `[host.${JSON.stringify(address)}]`),
      fc.string().map((address) => `[host.${JSON.stringify(address)}.header]`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 10 }), async (lines) => {
        try {
          const { mirrors, server } = await parseConfig(lines.join('\n'), 'the file', toml, (table) =>
            readHostsToml(table, () => false),
          );
          for (const { url, path } of [...mirrors, server]) {
            expect(path).toMatch(/^\/.*\/$|^\/$/);
            if (url !== undefined) expect(['http:', 'https:']).toContain(url.protocol);
          }
        } catch (error) {
          expect(errorCode(error)).toBe('REGISTRY_CONFIG_INVALID');
        }
      }),
      { numRuns: 500 },
    );
  });
});
