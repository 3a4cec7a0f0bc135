import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { registryUser, startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { openKiln, project } from './kiln.ts';
import { openPodman } from './peers.ts';
import { letIn, own } from './registry-site.ts';

const { username, secret } = registryUser;
const auth = Buffer.from(`${username}:${secret}`).toString('base64');
const authFile = (key: string) => JSON.stringify({ auths: { [key]: { auth } } });
const program = path.join(import.meta.dirname, '../../bin/kiln');

describe.skipIf(missing('docker-registry', 'unprivileged-user'))('credentials', () => {
  it('are found in each source, and serve exactly their host', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    const { host } = registry;
    const place = (file: string, text: string): string => {
      const absolute = path.join(account.home, file);
      mkdirSync(path.dirname(absolute), { recursive: true });
      writeFileSync(absolute, text);
      return absolute;
    };
    const [name, port] = host.split(':');
    const helper = `#!/bin/sh\nread -r server; [ "$server" = ${host} ] || exit 1\necho '${JSON.stringify({ Username: username, Secret: secret })}'\necho ${secret.split(' ')[0]} >&2\n`;
    place('bin/docker-credential-test', helper);
    chmodSync(path.join(account.home, 'bin/docker-credential-test'), 0o755);

    const sources: [string, Parameters<typeof letIn>[2]][] = [
      ['DOCKER_AUTH_CONFIG', { env: { DOCKER_AUTH_CONFIG: authFile(host) } }],
      ['REGISTRY_AUTH_FILE', { env: { REGISTRY_AUTH_FILE: place('a.json', authFile(host)) } }],
      ['DOCKER_CONFIG', { env: { DOCKER_CONFIG: path.dirname(place('docker/config.json', authFile(host))) } }],
      [
        'XDG_RUNTIME_DIR',
        { env: { XDG_RUNTIME_DIR: path.dirname(path.dirname(place('r/containers/auth.json', authFile(host)))) } },
      ],
      [
        'XDG_CONFIG_HOME',
        { env: { XDG_CONFIG_HOME: path.dirname(path.dirname(place('x/containers/auth.json', authFile(host)))) } },
      ],
      ['--authfile', { args: ['--authfile', place('b.json', authFile(host))] }],
      ['--registry-config', { args: ['--registry-config', place('c.json', authFile(host))] }],
      ['--creds', { args: ['--creds', `${username}:${secret}`] }],
      ['a namespaced key', { args: ['--authfile', place('d.json', authFile(`${host}/team`))] }],
      [
        'a helper',
        {
          args: ['--authfile', place('e.json', JSON.stringify({ credHelpers: { [host]: 'test' } }))],
          env: { PATH: `${account.home}/bin:/usr/bin:/bin` },
        },
      ],
    ];
    expect(await letIn(kiln, host)).toBe(false);
    for (const [what, options] of sources) expect([what, await letIn(kiln, host, options)]).toEqual([what, true]);

    for (const key of [`${name}:${Number(port) + 1}`, name ?? '', `${host}/other`, `x.${host}`, `https://${name}/`]) {
      const args = ['--authfile', place('f.json', authFile(key))];
      expect([key, await letIn(kiln, host, { args })]).toEqual([key, false]);
    }
  });

  it('come on stdin, and show nowhere', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    await using kiln = await openKiln('unprivileged');
    const { host } = registry;
    const command = (line: string) =>
      kiln.account.run(['sh', '-c', line], { env: { KILN_HOME: kiln.store, KILN_DEBUG: '1' } });

    const right = await command(
      `echo '${secret}' | ${program} pull --debug --username ${username} --password-stdin ${host}/team/none`,
    );
    const wrong = await command(`${program} pull --debug --creds '${username}:wrong-secret' ${host}/team/none --json`);

    expect(right.status).toBe(7);
    expect(right.stderr).toMatch(/debug: HEAD http:\/\/\S+\/v2\/team\/none\/manifests\/latest 401 /);
    expect(wrong.status).toBe(4);
    expect(wrong.stderr).toContain('visible to others');
    const shown = [right, wrong].map(({ stdout, stderr }) => stdout + stderr).join('');
    for (const hidden of [secret, 'wrong-secret', auth, Buffer.from(`${username}:wrong-secret`).toString('base64')]) {
      expect(shown).not.toContain(hidden);
    }
  });
});

describe.skipIf(missing('docker-registry', 'unprivileged-user', 'skopeo', 'podman'))('login', () => {
  it('is one for kiln, podman and skopeo, and gone after logout', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    await using podman = openPodman(account);
    const { host } = registry;
    const file = path.join(account.folder('config'), 'auth.json');
    const env = { REGISTRY_AUTH_FILE: file, KILN_HOME: kiln.store };
    const sh = (line: string) => account.run(['sh', '-c', line], { env });
    const login = (password: string, key = host) =>
      sh(`echo '${password}' | ${program} login -u ${username} --password-stdin ${key}`);

    expect(await login('wrong')).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('nothing was saved') as string,
    });
    expect((await sh(`test -e ${file}`)).status).toBe(1);
    expect(await login(secret)).toMatchObject({ status: 0, stdout: 'Login Succeeded\n' });
    expect((await sh(`stat -c %a ${file}`)).stdout).toBe('600\n');
    expect(await podman.call('login', '--authfile', file, '--get-login', host)).toBe(`${username}\n`);
    for (const tool of ['skopeo', program]) {
      expect(await sh(`${tool} login --get-login ${host}`)).toMatchObject({ status: 0, stdout: `${username}\n` });
    }
    expect(await letIn(kiln, host, { env })).toBe(true);

    expect((await sh(`skopeo logout ${host}`)).status).toBe(0);
    expect((await sh(`${program} login --get-login ${host}`)).status).toBe(4);
    expect(
      (await sh(`echo '${secret}' | skopeo login --tls-verify=false -u ${username} --password-stdin ${host}`)).status,
    ).toBe(0);
    expect((await sh(`${program} login --get-login ${host}`)).stdout).toBe(`${username}\n`);

    expect((await login(secret, `${host}/team`)).status).toBe(0);
    expect(await podman.call('login', '--authfile', file, '--get-login', `${host}/team`)).toBe(`${username}\n`);
    expect((await sh(`${program} logout ${host}/team`)).stderr).toContain(`There still are credentials for ${host} in`);
    expect((await sh(`${program} logout --all`)).stdout).toBe(`Removing login credentials for ${host}\n`);
    await expect(podman.call('login', '--authfile', file, '--get-login', host)).rejects.toThrow('not logged into');
    expect(await letIn(kiln, host, { env })).toBe(false);
  });

  it('is kept where Docker keeps it, beside what else is there', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    const real = project(account, 'dotfiles', { 'docker.json': '{"psFormat":"table"}' });
    const login = `mkdir .docker && ln -s ${real}/docker.json .docker/config.json && chmod 666 ${real}/docker.json; echo '${secret}' | ${program} login -u ${username} --password-stdin ${registry.host}`;
    own(account, real);

    const outcome = await account.run(['sh', '-c', login], { env: { KILN_HOME: kiln.store } });
    const kept: unknown = JSON.parse(readFileSync(path.join(real, 'docker.json'), 'utf8'));

    expect(outcome).toMatchObject({ status: 0 });
    expect(kept).toEqual({ psFormat: 'table', auths: { [registry.host]: { auth } } });
    expect((await account.run(['docker', 'logout', registry.host])).stdout).toContain('Removing login credentials');
    expect(await letIn(kiln, registry.host)).toBe(false);
  });
});
