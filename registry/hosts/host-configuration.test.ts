import { describe, expect, it } from 'vitest';
import { machine } from '../../test/host-files.ts';

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const other = '-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n';
const key = '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n';

describe('without files', () => {
  it.each([
    ['debian', 'https://registry-1.docker.io/v2/library/debian as docker.io'],
    ['example.com:5000/a/b', 'https://example.com:5000/v2/a/b'],
    ['localhost:5000/a', 'http://localhost:5000/v2/a'],
    ['127.0.0.1:5000/a', 'http://127.0.0.1:5000/v2/a'],
    ['[::1]:5000/a', 'http://[::1]:5000/v2/a'],
    ['127.0.0.1.evil.example/a', 'https://127.0.0.1.evil.example/v2/a'],
    ['localhost.example/a', 'https://localhost.example/v2/a'],
  ])('%s is at %s', async (name, shown) => {
    await using here = await machine({});

    expect(await here.shown(name)).toEqual([shown]);
  });

  it.each([
    [{ plainHttp: true }, 'example.com/a', 'http://example.com/v2/a'],
    [{ verifyTls: false }, 'example.com/a', 'https://example.com/v2/a unverified or http'],
    [{ verifyTls: false }, 'localhost:5000/a', 'https://localhost:5000/v2/a unverified or http'],
    [{ verifyTls: true }, 'localhost:5000/a', 'https://localhost:5000/v2/a'],
  ])('the command line says %j: %s is at %s', async (said, name, shown) => {
    await using here = await machine({}, said);

    expect(await here.shown(name)).toEqual([shown]);
  });
});

describe('the command line', () => {
  it('goes over insecure and skip_verify of files', async () => {
    await using here = await machine(
      {
        'containers/registries.conf': '[[registry]]\nlocation = "a.example"\ninsecure = true\n',
        'containerd/certs.d/b.example/hosts.toml': 'skip_verify = true',
      },
      { verifyTls: true },
    );

    expect(await here.shown('a.example/x')).toEqual(['https://a.example/v2/x']);
    expect(await here.shown('b.example/x')).toEqual(['https://b.example/v2/x']);
  });

  it('names a folder with certificates instead of the host’s own, and authorities beside it', async () => {
    const files = { 'docker/certs.d/a.example/ca.crt': pem, 'mine/x.crt': other, 'mine/ca.pem': pem };
    await using plain = await machine(files);
    const said = { certificateFolder: `${plain.folder}/mine`, authorities: `${plain.folder}/mine/ca.pem` };
    await using here = await machine(files, said);

    expect((await plain.endpoints('a.example/x'))[0]?.tls).toEqual({ authorities: [pem] });
    expect((await here.endpoints('a.example/x'))[0]?.tls).toEqual({ authorities: [other, pem] });
  });

  it('names no folder that is not there', async () => {
    await using here = await machine({}, { certificateFolder: '/nowhere/at/all' });

    await expect(here.endpoints('a.example/x')).rejects.toThrow('there is no folder /nowhere/at/all');
  });
});

describe('folders with certificates', () => {
  it('are for exactly their host and port', async () => {
    await using here = await machine({ 'docker/certs.d/a.example:5000/ca.crt': pem });

    expect((await here.endpoints('a.example:5000/x'))[0]?.tls).toEqual({ authorities: [pem] });
    for (const name of ['a.example/x', 'a.example:5001/x', 'b.a.example:5000/x']) {
      expect((await here.endpoints(name))[0]?.tls).toEqual({});
    }
  });

  it('hold authorities and who we are; the first that has the host counts', async () => {
    await using here = await machine({
      'containers/certs.d/a.example/client.cert': pem,
      'containers/certs.d/a.example/client.key': key,
      'containers/certs.d/a.example/a.crt': other,
      'containers/certs.d/a.example/notes.txt': 'not read',
      'docker/certs.d/a.example/ca.crt': pem,
    });

    expect((await here.endpoints('a.example/x'))[0]?.tls).toEqual({
      authorities: [other],
      client: { certificate: pem, key },
    });
  });

  it('make a loopback host one of TLS', async () => {
    await using here = await machine({ 'docker/certs.d/localhost:5000/ca.crt': pem });

    expect(await here.shown('localhost:5000/x')).toEqual(['https://localhost:5000/v2/x']);
  });

  it.each([
    ['client.cert', 'the client certificate client.cert has no key client.key beside it'],
    ['client.key', 'the client key client.key has no certificate client.cert beside it'],
  ])('with a lonely %s are refused, naming both files', async (name, message) => {
    await using here = await machine({ [`docker/certs.d/a.example/${name}`]: name.endsWith('key') ? key : pem });

    await expect(here.endpoints('a.example/x')).rejects.toMatchObject({ code: 'REGISTRY_CONFIG_INVALID' });
    await expect(here.endpoints('a.example/x')).rejects.toThrow(message);
    expect(await here.shown('b.example/x')).toHaveLength(1);
  });

  it('are refused when a file holds something else', async () => {
    await using here = await machine({ 'docker/certs.d/a.example/ca.crt': 'DER' });

    await expect(here.endpoints('a.example/x')).rejects.toThrow('ca.crt: holds no certificate in PEM form');
  });
});
