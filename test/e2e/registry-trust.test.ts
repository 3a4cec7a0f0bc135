import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { makeAuthority } from '../certificates.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { openKiln, project } from './kiln.ts';
import { built, certs, configure, letIn, openSite } from './registry-site.ts';

/** Nothing listens on the discard port. */
const nobody = '127.0.0.1:9';

describe.each(accountKinds())('a registry of a private authority, as %s', (kind) => {
  it.skipIf(missing('docker-registry', 'openssl', 'unprivileged-user'))(
    'is refused with what to do, until its authority is known',
    async () => {
      await using site = await openSite(kind);
      const { kiln, registry, authority } = site;
      const name = await built(kiln, `${registry.host}/app:1`);
      const stranger = await makeAuthority(kiln.account.folder('stranger'), 'stranger');

      const plain = await kiln.run(['push', name]);
      const unknown = await kiln.run(['push', '--tls-verify', name]);
      const wrong = await kiln.run(['push', '--ca-file', stranger.certificate, name]);

      for (const { status, stderr } of [unknown, wrong]) {
        expect(status).toBe(4);
        expect(stderr).toContain(`the certificate of ${registry.host} is not accepted`);
        expect(stderr).toContain(`certs.d/${registry.host}/ca.crt`);
      }
      expect(plain).toMatchObject({ status: 4, stderr: expect.stringContaining('--tls-verify') as string });
      await kiln.ok(['push', '--ca-file', authority.certificate, name]);
      await kiln.ok(['push', '--insecure', name]);
      await kiln.ok(['push', '--tls-verify=false', name]);
      certs(kiln.account, `docker/certs.d/${registry.host}`, { 'ca.crt': authority.certificate });
      expect(await kiln.ok(['pull', name])).toContain('digest: sha256:');
    },
  );
});

describe.skipIf(missing('docker-registry', 'openssl', 'unprivileged-user'))('certificates', () => {
  it('are found in each place that says them', async () => {
    await using site = await openSite('unprivileged');
    const { kiln, registry, authority } = site;
    const { account } = kiln;
    const name = await built(kiln, `${registry.host}/app:1`);
    const folder = account.folder('mine');
    copyFileSync(authority.certificate, path.join(folder, 'a.crt'));
    await kiln.ok(['push', '--cert-dir', folder, name]);
    const hostsFile = `containerd/certs.d/${registry.host}/hosts.toml`;

    configure(account, hostsFile, `ca = ${JSON.stringify(authority.certificate)}\n`);
    await kiln.ok(['pull', name]);
    configure(account, hostsFile, `server = "https://${registry.host}"\nskip_verify = true\n`);
    await kiln.ok(['pull', name]);
    configure(account, hostsFile, '');
    configure(account, 'containers/registries.conf', `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`);
    await kiln.ok(['pull', name]);
    const strict = await kiln.run(['pull', '--tls-verify', name]);
    expect(strict).toMatchObject({ status: 4 });
  });

  it('of clients open what is closed to others', async () => {
    await using site = await openSite('unprivileged', { wantsClients: true });
    const { kiln, registry, authority, client } = site;
    const { account } = kiln;
    const place = `containers/certs.d/${registry.host}`;
    certs(account, place, { 'ca.crt': authority.certificate });

    expect(await letIn(kiln, registry.host)).toBe(false);
    certs(account, place, { 'me.cert': client.certificate });
    const lonely = await kiln.run(['pull', `${registry.host}/x`]);
    certs(account, place, { 'me.key': client.key });
    expect(await letIn(kiln, registry.host)).toBe(true);

    expect(lonely.status).toBe(4);
    expect(lonely.stderr).toContain('the client certificate me.cert has no key me.key beside it');
  });

  it('of clients are what hosts.toml says', async () => {
    await using site = await openSite('unprivileged', { wantsClients: true });
    const { kiln, registry, authority, client } = site;
    configure(
      kiln.account,
      `containerd/certs.d/${registry.host}/hosts.toml`,
      `ca = "${authority.certificate}"\nclient = [["${client.certificate}", "${client.key}"]]\n`,
    );

    expect(await letIn(kiln, registry.host)).toBe(true);
  });
});

describe.skipIf(missing('docker-registry', 'openssl', 'unprivileged-user'))('registries.conf', () => {
  it('rewrites names, tries mirrors in order, and leaves pushes alone', async () => {
    await using site = await openSite('unprivileged');
    const { kiln, registry, authority } = site;
    const { account } = kiln;
    certs(account, `containers/certs.d/${registry.host}`, { 'ca.crt': authority.certificate });
    await kiln.ok(['push', await built(kiln, `${registry.host}/mirrored/app:1`)]);
    configure(
      account,
      'containers/registries.conf',
      `[[registry]]
prefix = "logical.invalid"
location = "${nobody}"
[[registry.mirror]]
location = "${nobody}/down"
[[registry.mirror]]
location = "${registry.host}/mirrored"
[[registry]]
prefix = "moved.invalid/team"
location = "${registry.host}/mirrored"
[[registry]]
location = "bad.invalid"
blocked = true
`,
    );

    const mirrored = await kiln.run(['pull', 'logical.invalid/app:1']);
    const moved = await kiln.run(['pull', 'moved.invalid/team/app:1']);
    const blocked = await kiln.run(['pull', 'bad.invalid/app:1']);
    const pushed = await kiln.run(['push', 'moved.invalid/team/app:1']);

    expect(mirrored).toMatchObject({ status: 0 });
    expect(mirrored.stderr).toContain(`its mirror ${nobody} is left out`);
    expect(moved).toMatchObject({ status: 0 });
    expect(await kiln.digest('logical.invalid/app:1')).toBe(await kiln.digest('moved.invalid/team/app:1'));
    expect(blocked.status).toBe(4);
    expect(blocked.stderr).toContain('bad.invalid/app is blocked by');
    expect(pushed.status).toBe(4);
    expect(pushed.stderr).toContain('https://moved.invalid/');
  });

  it('that is broken says all that is wrong with it, and where', async () => {
    await using kiln = await openKiln('unprivileged');
    configure(kiln.account, 'containers/registries.conf', '[[registry]]\nblocked = 1\nlocation = "https://x"\n');

    const { status, stderr } = await kiln.run(['pull', 'a.invalid/app']);

    expect(status).toBe(4);
    expect(stderr).toContain(path.join(kiln.account.home, '.config/containers/registries.conf'));
    expect(stderr).toContain('registry[0].blocked is to be true or false');
    expect(stderr).toContain('registry[0].location is to be HOST');
  });
});

describe.skipIf(missing('docker-registry', 'unprivileged-user'))('hosts.toml', () => {
  it('names mirrors, and the registry after them', async () => {
    await using full = await startDockerRegistry();
    await using empty = await startDockerRegistry();
    await using kiln = await openKiln('unprivileged');
    await kiln.ok(['push', await built(kiln, `${full.host}/app:1`)]);
    const text = (server: string, ...mirrors: string[]) =>
      [
        `server = "http://${server}"`,
        ...mirrors.map((host) => `[host."http://${host}"]\ncapabilities = ["pull", "resolve"]`),
      ].join('\n');

    configure(
      kiln.account,
      'containerd/certs.d/mirrored.invalid/hosts.toml',
      text(nobody, nobody, empty.host, full.host),
    );
    const pulled = await kiln.run(['pull', '--debug', 'mirrored.invalid/app:1']);
    configure(kiln.account, 'containerd/certs.d/upstream.invalid/hosts.toml', text(full.host, empty.host));
    const fromUpstream = await kiln.run(['pull', 'upstream.invalid/app:1']);

    expect(pulled).toMatchObject({ status: 0 });
    expect(pulled.stderr).toMatch(/debug: HEAD \S+ 404 /);
    expect(pulled.stderr).toContain(`http://${full.host}/v2/app/manifests/1`);
    expect(fromUpstream).toMatchObject({ status: 0 });
  });
});

describe.skipIf(missing('docker-registry', 'unprivileged-user'))('short names', () => {
  it('mean what registries.conf says, and are kept in full', async () => {
    await using registry = await startDockerRegistry();
    await using other = await startDockerRegistry();
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    await kiln.ok(['push', await built(kiln, `${registry.host}/team/tool:1`)]);
    await kiln.ok(['rmi', `${registry.host}/team/tool:1`]);
    const search = `unqualified-search-registries = ["${other.host}", "${registry.host}"]\n`;
    const alias = `[aliases]\nshort = "${registry.host}/team/tool"\n`;

    configure(account, 'containers/registries.conf', `${search}short-name-mode = "enforcing"\n${alias}`);
    await kiln.ok(['pull', 'short:1']);
    const inspected = await kiln.ok(['inspect', 'short:1']);
    const ambiguous = await kiln.run(['pull', 'team/tool:1']);
    configure(account, 'containers/registries.conf', `${search}${alias}`);
    await kiln.ok(['pull', 'team/tool:1']);
    const nowhere = await kiln.run(['pull', 'team/nothing:1']);

    expect(JSON.parse(inspected)).toMatchObject([{ names: [`${registry.host}/team/tool:1`] }]);
    expect(ambiguous.status).toBe(2);
    expect(ambiguous.stderr).toContain(`${other.host}/team/tool:1, ${registry.host}/team/tool:1`);
    expect(nowhere.status).toBe(7);
    expect(nowhere.stderr).toContain('no registry that is searched has team/nothing:1');
  });

  it('mean the same in Buildfiles, whose lock files have them in full', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    await kiln.ok(['push', await built(kiln, `${registry.host}/team/tool:1`)]);
    await kiln.ok(['rmi', `${registry.host}/team/tool:1`]);
    configure(account, 'containers/registries.conf', `[aliases]\nshort = "${registry.host}/team/tool"\n`);
    const folder = project(account, 'uses', { Buildfile: 'from = "short:1"\n[image]\nlabels = { a = "b" }\n' });
    account.folder('uses');

    await kiln.ok(['build', '-t', 'result', folder]);
    const lock = readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8');
    configure(account, 'containers/registries.conf', 'unqualified-search-registries = ["a.invalid", "b.invalid"]\n');
    const ambiguous = await kiln.run(['build', '-t', 'result', folder]);

    expect(lock).toContain(`"${registry.host}/team/tool:1"`);
    expect(lock).not.toContain('docker.io');
    expect(ambiguous.status).toBe(2);
    expect(ambiguous.stderr).toContain('Buildfile:1');
    expect(ambiguous.stderr).toContain('a.invalid/short:1, b.invalid/short:1');
  });
});
