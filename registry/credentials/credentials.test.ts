import { chmod, mkdtempDisposable, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { findInAuthFile, parseAuthFile } from './auth-file.ts';
import { findWithHelper } from './credential-helper.ts';
import { openCredentials } from './credentials.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const user = { username: 'user', secret: 'pass' };

function temporary() {
  return mkdtempDisposable(path.join(tmpdir(), 'kiln-credentials-'));
}

function find(document: unknown, registry: string) {
  return openCredentials({ dockerAuthConfig: JSON.stringify(document), files: [] }).find(registry);
}

describe('finding credentials', () => {
  it.each([
    ['user:pass in base64', { auth: base64('user:pass') }, user],
    ['a password with colons', { auth: base64('user:p:a:s') }, { username: 'user', secret: 'p:a:s' }],
    ['zero bytes after it', { auth: base64('user:pass\0\0') }, user],
    ['plain fields', { username: 'user', password: 'pass' }, user],
    [
      'an identity token',
      { auth: base64('user:'), identitytoken: 'long' },
      { username: 'user', identityToken: 'long' },
    ],
    ['an identity token alone', { identitytoken: 'long' }, { identityToken: 'long' }],
    ['nothing, as beside a helper', {}, undefined],
    ['no colon', { auth: base64('userpass') }, undefined],
    ['no user', { auth: base64(':pass') }, undefined],
    ['no text', { auth: 7 }, undefined],
    ['no object', 'auth', undefined],
  ])('reads an entry with %s', async (_what, entry, credential) => {
    expect(await find({ auths: { 'registry.example.com': entry } }, 'registry.example.com')).toEqual(credential);
  });

  it.each([
    ['registry.example.com', 'registry.example.com', true],
    ['https://registry.example.com', 'registry.example.com', true],
    ['https://registry.example.com/v1/', 'registry.example.com', true],
    ['http://registry.example.com/v2/', 'registry.example.com', true],
    ['Registry.Example.COM', 'registry.example.com', true],
    ['registry.example.com:5000', 'registry.example.com', false],
    ['registry.example.com', 'registry.example.com:5000', false],
    ['registry.example.com', 'my-registry.example.com', false],
    ['registry.example.com', 'registry.example.com.evil.example', false],
    ['registry.example.com/team', 'registry.example.com', false],
    ['example.com', 'registry.example.com', false],
    ['https://index.docker.io/v1/', 'docker.io', true],
    ['docker.io', 'docker.io', true],
    ['index.docker.io', 'docker.io', true],
    ['https://index.docker.io/v1/', 'index.docker.io.evil.example', false],
    ['constructor', '__proto__', false],
  ])('a login for %s serves %s: %s', async (key, registry, serves) => {
    const found = await find({ auths: { [key]: { auth: base64('user:pass') } } }, registry);

    expect(found).toEqual(serves ? user : undefined);
  });

  it('asks DOCKER_AUTH_CONFIG first, then the files in their order, and none that is missing', async () => {
    await using folder = await temporary();
    const entry = (name: string) => ({ auth: base64(`${name}:x`) });
    const files = ['missing.json', 'one.json', 'two.json'].map((name) => path.join(folder.path, name));
    const [, one, two] = files as [string, string, string];
    await writeFile(one, JSON.stringify({ auths: { 'b.example': entry('one'), 'c.example': {} } }));
    await writeFile(two, JSON.stringify({ auths: { 'b.example': entry('two'), 'c.example': entry('two') } }));
    const dockerAuthConfig = JSON.stringify({ auths: { 'a.example': entry('env') } });

    const credentials = openCredentials({ dockerAuthConfig, files });

    const names = await Promise.all(
      ['a.example', 'b.example', 'c.example', 'd.example'].map(async (registry) => credentials.find(registry)),
    );
    expect(names.map((found) => found?.username)).toEqual(['env', 'one', 'two', undefined]);
  });

  it.each(['{', '[]', 'null', '{"auths":[]}', '{"credHelpers":7}', '{"credsStore":{}}'])(
    'refuses %s without printing it',
    async (text) => {
      const finding = openCredentials({ dockerAuthConfig: text, files: [] }).find('a.example');

      await expect(finding).rejects.toMatchObject({ code: 'REGISTRY_CREDENTIALS_INVALID' });
      await expect(finding).rejects.not.toHaveProperty('cause');
    },
  );

  it('gives a credential or a clear error for whatever is in the file, and never prints the file', () => {
    const text = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map((inner) => `{"auths":{"a.example":${inner}}}`),
    );
    fc.assert(
      fc.property(text, (content) => {
        try {
          findInAuthFile(parseAuthFile(content, 'the file'), 'a.example');
        } catch (error) {
          expect(errorCode(error)).toBe('REGISTRY_CREDENTIALS_INVALID');
          expect(String(error).length).toBeLessThan(120);
        }
      }),
    );
  });
});

describe('credentials for a part of a registry', () => {
  const entry = (name: string) => ({ auth: base64(`${name}:x`) });
  const auths = {
    'quay.example': entry('whole'),
    'quay.example/team': entry('team'),
    'quay.example/team/app': entry('app'),
    'other.example/team': entry('other'),
    'docker.io/me': entry('hub'),
  };

  it.each([
    ['quay.example', undefined, 'whole'],
    ['quay.example', 'elsewhere/x', 'whole'],
    ['quay.example', 'team/x', 'team'],
    ['quay.example', 'teams/x', 'whole'],
    ['quay.example', 'team/app', 'app'],
    ['quay.example', 'team/app/deep', 'app'],
    ['quay.example', 'team/application', 'team'],
    ['quay.example:443', 'team/app', undefined],
    ['other.example', 'x', undefined],
    ['docker.io', 'me/x', 'hub'],
    ['docker.io', 'library/x', undefined],
  ])('of %s for %s are those of %s', async (registry, repository, username) => {
    const credentials = openCredentials({ dockerAuthConfig: JSON.stringify({ auths }), files: [] });

    const found = await credentials.find(registry, repository === undefined ? {} : { repository });

    expect(found?.username).toBe(username);
  });

  it('are saved and erased beside those of the whole', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'auth.json');
    const credentials = openCredentials({ files: [file] });
    await credentials.save('quay.example', { username: 'whole', secret: 'x' });
    await credentials.save('quay.example/team', { username: 'team', secret: 'x' });

    expect(await credentials.find('quay.example', { repository: 'team/x' })).toMatchObject({ username: 'team' });
    expect(await credentials.erase('quay.example/team')).toBe(true);
    expect(await credentials.find('quay.example', { repository: 'team/x' })).toMatchObject({ username: 'whole' });
    expect(await credentials.whereFound('quay.example')).toBe(file);
  });

  it('are not given to a helper, which knows no parts', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'config.json');
    await writeFile(file, '{"credsStore":"test"}');

    const saving = openCredentials({ files: [file] }).save('quay.example/team', user);

    await expect(saving).rejects.toMatchObject({ code: 'REGISTRY_CREDENTIAL_HELPER' });
  });
});

describe('saving credentials', () => {
  it('keeps all else in the file, and lets only its owner read it', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'deep', 'config.json');
    const credentials = openCredentials({ files: [file] });

    expect(await credentials.save('registry.example.com', user)).toBe(file);
    await writeFile(
      file,
      JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), psFormat: 'table', proxies: {} }),
    );
    await credentials.save('docker.io', { identityToken: 'long' });

    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      psFormat: 'table',
      proxies: {},
      auths: {
        'registry.example.com': { auth: base64('user:pass') },
        'https://index.docker.io/v1/': { auth: base64(':'), identitytoken: 'long' },
      },
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await credentials.find('docker.io')).toEqual({ identityToken: 'long' });
  });

  it('erases every spelling of a registry, and says whether there was one', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'config.json');
    const auths = { 'https://a.example/v1/': {}, 'a.example': { auth: base64('user:pass') }, 'b.example': {} };
    await writeFile(file, JSON.stringify({ auths }));
    const credentials = openCredentials({ files: [file] });

    expect(await credentials.erase('a.example')).toBe(true);
    expect(await credentials.erase('a.example')).toBe(false);

    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ auths: { 'b.example': {} } });
  });

  it('leaves the mode of a file that is there', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'config.json');
    await writeFile(file, '{}');
    await chmod(file, 0o640);

    await openCredentials({ files: [file] }).save('a.example', user);

    expect((await stat(file)).mode & 0o777).toBe(0o640);
  });

  it('erases all, and keeps what is not a login', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'config.json');
    await writeFile(file, JSON.stringify({ auths: { 'b.example': {}, 'a.example': {} }, psFormat: 'table' }));
    const credentials = openCredentials({ files: [file] });

    expect(await credentials.eraseAll()).toEqual(['a.example', 'b.example']);
    expect(await credentials.eraseAll()).toEqual([]);

    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ auths: {}, psFormat: 'table' });
  });

  it('reads the oldest file of Docker’s, which is nothing but logins', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, '.dockercfg');
    await writeFile(file, JSON.stringify({ 'https://a.example/v1/': { auth: base64('user:pass') } }));

    expect(await openCredentials({ files: [file] }).find('a.example')).toEqual(user);
  });

  it('keeps a symbolic link to the file', async () => {
    await using folder = await temporary();
    const [file, link] = [path.join(folder.path, 'real.json'), path.join(folder.path, 'config.json')];
    await writeFile(file, '{}');
    await symlink('real.json', link);

    await openCredentials({ files: [link] }).save('a.example', user);

    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveProperty(['auths', 'a.example']);
  });
});

describe('credential helpers', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  /** A helper in the manner of docker-credential-pass, with a file for each registry. */
  const helper = `#!/bin/sh
cd "$(dirname "$0")" || exit 2
case "$1" in
  list) cat list;;
  get) read -r server || true; name=$(printf %s "$server" | tr -c 'a-z0-9.\\n' _)
    if [ -f "$name" ]; then cat "$name"; else echo 'credentials not found in native keychain'; exit 1; fi;;
  store) cat > stored;;
  erase) read -r server || true; echo "$server" > erased;;
esac
`;

  async function installed(config: object) {
    const folder = await temporary();
    const program = path.join(folder.path, 'docker-credential-test');
    await writeFile(program, helper);
    await chmod(program, 0o755);
    const file = path.join(folder.path, 'config.json');
    await writeFile(file, JSON.stringify(config));
    vi.stubEnv('PATH', `${folder.path}:${process.env.PATH}`);
    return { folder, file, credentials: openCredentials({ files: [file] }) };
  }

  it('go before what is in the file, which still serves what they do not know', async () => {
    const auths = { 'a.example': { auth: base64('file:x') }, 'b.example': { auth: base64('file:x') } };
    const { folder, credentials } = await installed({ auths, credsStore: 'test' });
    await using _folder = folder;
    await writeFile(path.join(folder.path, 'a.example'), '{"ServerURL":"a.example","Username":"helper","Secret":"s"}');
    await writeFile(path.join(folder.path, 'c.example'), '{"Username":"<token>","Secret":"long"}');

    expect(await credentials.find('a.example')).toEqual({ username: 'helper', secret: 's' });
    expect(await credentials.find('b.example')).toEqual({ username: 'file', secret: 'x' });
    expect(await credentials.find('c.example')).toEqual({ identityToken: 'long' });
  });

  it('for one registry go before the one for all', async () => {
    const { folder, credentials } = await installed({ credsStore: 'absent', credHelpers: { 'a.example': 'test' } });
    await using _folder = folder;

    expect(await credentials.find('a.example')).toBeUndefined();
    await expect(credentials.find('b.example')).rejects.toMatchObject({ code: 'REGISTRY_CREDENTIAL_HELPER' });
  });

  it('keep and erase logins, under the address Docker uses', async () => {
    const { folder, file, credentials } = await installed({ credsStore: 'test' });
    await using _folder = folder;

    expect(await credentials.save('docker.io', user)).toContain('docker-credential-test');
    await writeFile(path.join(folder.path, 'https___index.docker.io_v1_'), '{"Username":"user","Secret":"pass"}');
    expect(await credentials.erase('docker.io')).toBe(true);

    expect(JSON.parse(await readFile(path.join(folder.path, 'stored'), 'utf8'))).toEqual({
      ServerURL: 'https://index.docker.io/v1/',
      Username: 'user',
      Secret: 'pass',
    });
    expect(await readFile(path.join(folder.path, 'erased'), 'utf8')).toBe('https://index.docker.io/v1/\n');
    expect(await readFile(file, 'utf8')).toBe('{"credsStore":"test"}');
  });

  it.each(['../evil', 'a/b', '', '-x', 'a b'])('are never looked for elsewhere than on PATH: %j', async (suffix) => {
    const finding = find({ credHelpers: { 'a.example': suffix } }, 'a.example');

    if (suffix === '') expect(await finding).toBeUndefined();
    else await expect(finding).rejects.toMatchObject({ code: 'REGISTRY_CREDENTIAL_HELPER' });
  });

  it('tell what they know when all is erased', async () => {
    const { folder, credentials } = await installed({ credsStore: 'test' });
    await using _folder = folder;
    await writeFile(path.join(folder.path, 'list'), '{"a.example":"me"}');
    await writeFile(path.join(folder.path, 'a.example'), '{"Username":"me","Secret":"s"}');

    expect(await credentials.eraseAll()).toEqual(['a.example']);
    expect(await readFile(path.join(folder.path, 'erased'), 'utf8')).toBe('a.example\n');
  });

  it('that hang are ended, by patience or by the caller', async () => {
    await using folder = await temporary();
    const program = path.join(folder.path, 'docker-credential-hangs');
    await writeFile(program, '#!/bin/sh\ntrap "" TERM\necho secret-on-stderr >&2\nexec sleep 600\n');
    await chmod(program, 0o755);
    vi.stubEnv('PATH', `${folder.path}:${process.env.PATH}`);
    const abort = new AbortController();

    const impatient = findWithHelper('hangs', 'a.example', { patienceMs: 50 });
    const aborted = findWithHelper('hangs', 'a.example', { signal: abort.signal });
    abort.abort(new Error('enough'));

    await expect(aborted).rejects.toThrow('enough');
    await expect(impatient).rejects.toThrow('did not get credentials in time');
    await expect(impatient).rejects.not.toThrow('secret-on-stderr');
  });

  it('that fail have nothing of what they print shown', async () => {
    const { folder, credentials } = await installed({ credHelpers: { 'a.example': 'leaks' } });
    await using _folder = folder;
    const program = path.join(folder.path, 'docker-credential-leaks');
    await writeFile(program, '#!/bin/sh\necho hunter2; echo hunter2 >&2; exit 3\n');
    await chmod(program, 0o755);

    const failure = await credentials.find('a.example').catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'REGISTRY_CREDENTIAL_HELPER' });
    expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain('hunter2');
  });

  it('do not have their answers printed when they are odd', async () => {
    const { folder, credentials } = await installed({ credsStore: 'test' });
    await using _folder = folder;
    await writeFile(path.join(folder.path, 'a.example'), 'secret-that-is-not-json');

    const finding = credentials.find('a.example');

    await expect(finding).rejects.toMatchObject({ code: 'REGISTRY_CREDENTIAL_HELPER' });
    await expect(finding).rejects.not.toHaveProperty('cause');
    await expect(finding).rejects.not.toThrow('secret-that');
  });
});
