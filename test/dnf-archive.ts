import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { hostToolsBase } from '../fixtures/bases/host-tools-base.ts';
import { byteString, type Entry } from '../runtime/index.ts';

const run = promisify(execFile);

export interface RpmPackage {
  readonly name: string;
  readonly version: string;
  readonly requires?: string;
  readonly recommends?: string;
  readonly provides?: string;
  /** A script; `/bin/sh` runs it. */
  readonly post?: string;
}

/** A repository of RPMs on the loopback interface, without signatures. */
export interface DnfArchive extends AsyncDisposable {
  /** The text of a file of /etc/yum.repos.d. */
  readonly repository: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Replaces all it has. */
  serve(packages: readonly RpmPackage[]): Promise<void>;
}

export async function startDnfArchive(): Promise<DnfArchive> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dnf-'));
  const requests: string[] = [];
  let served = path.join(folder, 'none');
  const server = createServer(async (request, response) => {
    const name = path.posix.normalize(decodeURIComponent(request.url ?? '/'));
    requests.push(name);
    const bytes = await readFile(path.join(served, name)).catch(() => undefined);
    response.writeHead(bytes === undefined ? 404 : 200, { 'content-length': bytes?.length ?? 0 });
    response.end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return {
    repository: `[test]\nname=test\nbaseurl=http://127.0.0.1:${address.port}/\ngpgcheck=0\nenabled=1\n`,
    requests,
    async serve(packages) {
      const repository = await mkdtemp(path.join(folder, 'repository-'));
      for (const one of packages) await buildRpm(one, repository);
      await run('createrepo_c', ['--quiet', repository]);
      served = repository;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A root file system with this machine's dnf and rpm, and the archive as its only repository. */
export async function* dnfBase(repository: string): AsyncGenerator<Entry> {
  tools ??= Array.fromAsync(dnfTools());
  const name = byteString('etc/yum.repos.d/test.repo');
  const bytes = Buffer.from(repository);
  for (const entry of await tools) {
    const isRepository = entry.path === name && entry.type === 'file';
    yield isRepository ? { ...entry, size: bytes.length, content: { kind: 'bytes', bytes } } : entry;
  }
}

/** Some thousand files of Python, read once. */
let tools: Promise<Entry[]> | undefined;

async function* dnfTools(): AsyncGenerator<Entry> {
  const { stdout } = await run('/usr/bin/python3', ['-c', 'import sysconfig; print(sysconfig.get_path("stdlib"))']);
  const modules = ['dnf', 'libdnf', 'hawkey', 'rpm', 'libcomps', 'gpg', 'distro', 'dateutil'];
  const folders = modules
    .map((name) => `/usr/lib/python3/dist-packages/${name}`)
    .filter((folder) => existsSync(folder));
  yield* hostToolsBase({
    programs: ['/usr/bin/dnf', '/usr/bin/rpm', '/usr/bin/python3'],
    folders: [stdout.trim(), ...folders, '/usr/lib/rpm', '/etc/dnf'],
    files: {
      'etc/os-release': 'ID=fedora\nVERSION_ID=40\n',
      'etc/yum.repos.d/test.repo': '',
      'etc/rpm/macros': '%_dbpath /var/lib/rpm\n',
    },
    emptyFolders: ['var/lib/rpm', 'var/cache/dnf', 'var/lib/dnf', 'var/log'],
  });
}

async function buildRpm(one: RpmPackage, destination: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rpm-'));
  try {
    await mkdir(path.join(folder, 'SPECS'));
    const spec = [
      `Name: ${one.name}`,
      `Version: ${one.version}`,
      'Release: 1',
      'Summary: for tests',
      'License: none',
      'BuildArch: noarch',
      ...(one.requires === undefined ? [] : [`Requires: ${one.requires}`]),
      ...(one.recommends === undefined ? [] : [`Recommends: ${one.recommends}`]),
      ...(one.provides === undefined ? [] : [`Provides: ${one.provides}`]),
      '%description',
      'For tests.',
      '%install',
      `mkdir -p %{buildroot}/usr/share; echo ${one.version} > %{buildroot}/usr/share/${one.name}`,
      '%files',
      `/usr/share/${one.name}`,
      ...(one.post === undefined ? [] : ['%post', one.post]),
      '%changelog',
      '* Sat Jan 01 2022 Kiln <kiln@example.org> - 1',
      '- for tests',
      '',
    ];
    const file = path.join(folder, 'SPECS', 'one.spec');
    await writeFile(file, spec.join('\n'));
    const defines = [
      `_topdir ${folder}`,
      `_rpmdir ${destination}`,
      '_build_name_fmt %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm',
    ];
    const fixed = ['use_source_date_epoch_as_buildtime 1', 'clamp_mtime_to_source_date_epoch 1', '_buildhost kiln'];
    const flags = [...defines, ...fixed].flatMap((define) => ['--define', define]);
    await run('rpmbuild', [...flags, '-bb', file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: '1640995200', HOME: folder },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
