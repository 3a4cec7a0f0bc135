import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { hostToolsBase } from '../fixtures/bases/host-tools-base.ts';
import type { Entry } from '../runtime/index.ts';

const run = promisify(execFile);

/** A package as a test wants it. */
export interface DebPackage {
  readonly name: string;
  readonly version: string;
  readonly depends?: string;
  readonly recommends?: string;
  readonly provides?: string;
  /** Path → text; `usr/share/NAME` otherwise. */
  readonly files?: Readonly<Record<string, string>>;
  readonly postinst?: string;
  /** Served by the archive for security updates. */
  readonly security?: boolean;
}

/** An archive of Debian packages on the loopback interface, without signatures. */
export interface AptArchive extends AsyncDisposable {
  /** The lines of a sources.list. */
  readonly sources: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Replaces all it has. */
  serve(packages: readonly DebPackage[]): Promise<void>;
}

export async function startAptArchive(): Promise<AptArchive> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const name = path.posix.normalize(decodeURIComponent(request.url ?? '/'));
    requests.push(name);
    const bytes = files.get(name);
    response.writeHead(bytes === undefined ? 404 : 200, { 'content-length': bytes?.length ?? 0 });
    response.end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  const at = `http://127.0.0.1:${address.port}`;
  return {
    sources: ['debian', 'security'].map((name) => `deb [trusted=yes] ${at}/${name} ./\n`).join(''),
    requests,
    async serve(packages) {
      files.clear();
      for (const [archive, isSecurity] of [['debian', false] as const, ['security', true] as const]) {
        const own = packages.filter(({ security = false }) => security === isSecurity);
        for (const [name, bytes] of await archiveFiles(own)) files.set(`/${archive}/${name}`, bytes);
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A root file system with this machine's apt and dpkg, and the archive as its only source. */
export function aptBase(sources: string): AsyncIterable<Entry> {
  const bin = ['apt-get', 'apt-cache', 'apt-mark', 'apt-config', 'dpkg', 'dpkg-deb', 'dpkg-query', 'dpkg-split'];
  return hostToolsBase({
    programs: [...[...bin, 'dpkg-trigger', 'tar'].map((name) => `/usr/bin/${name}`), '/sbin/ldconfig'],
    folders: ['/usr/lib/apt', '/usr/share/dpkg'],
    files: {
      'etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
      'etc/apt/sources.list': sources,
      // As the images on Docker Hub have it.
      'etc/apt/apt.conf.d/docker-clean': [
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };',
        'APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };',
        'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";',
        'Acquire::GzipIndexes "true"; APT::AutoRemove::SuggestsImportant "false";',
        '',
      ].join('\n'),
      'var/lib/dpkg/status': [
        'Package: dpkg',
        'Status: install ok installed',
        'Maintainer: Kiln <kiln@example.org>',
        `Architecture: ${debArchitecture}`,
        'Version: 1.21',
        'Description: stands for itself',
        '',
        '',
      ].join('\n'),
      'var/lib/dpkg/available': '',
      'var/lib/dpkg/info/dpkg.list': '/.\n',
      'var/lib/dpkg/info/format': '1\n',
      'var/log/dpkg.log': 'of the base\n',
    },
    emptyFolders: [
      ...['etc/apt/preferences.d', 'etc/apt/trusted.gpg.d', 'var/cache/apt/archives/partial'],
      ...['var/lib/apt/lists/partial', 'var/lib/dpkg/updates', 'var/lib/dpkg/triggers', 'var/log/apt'],
    ],
  });
}

export const debArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

async function archiveFiles(packages: readonly DebPackage[]): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const stanzas: string[] = [];
  for (const one of packages) {
    const bytes = await buildDeb(one);
    // As in Debian's archive, without the epoch.
    const name = `${one.name}_${one.version.replace(/^\d+:/, '')}_all.deb`;
    files.set(name, bytes);
    stanzas.push(`${controlOf(one)}Filename: ./${name}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`);
  }
  const index = Buffer.from(stanzas.join('\n'));
  files.set('Packages', index);
  const release = `Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n ${sha256(index)} ${index.length} Packages\n`;
  return files.set('Release', Buffer.from(release));
}

async function buildDeb(one: DebPackage): Promise<Buffer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'deb-'));
  try {
    const root = path.join(folder, 'root');
    await mkdir(path.join(root, 'DEBIAN'), { recursive: true });
    await writeFile(path.join(root, 'DEBIAN/control'), controlOf(one));
    if (one.postinst !== undefined) {
      await writeFile(path.join(root, 'DEBIAN/postinst'), `#!/bin/sh\nset -e\n${one.postinst}\n`);
      await chmod(path.join(root, 'DEBIAN/postinst'), 0o755);
    }
    for (const [name, text] of Object.entries(one.files ?? { [`usr/share/${one.name}`]: one.version })) {
      const file = path.join(root, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text);
      await utimes(file, 1_600_000_000, 1_600_000_000);
    }
    await run('chmod', ['-R', 'go=rX', root]);
    const deb = path.join(folder, 'a.deb');
    await run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', root, deb], {
      env: { ...process.env, SOURCE_DATE_EPOCH: '1600000000' },
    });
    return await readFile(deb);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function controlOf(one: DebPackage): string {
  const lines = [
    `Package: ${one.name}`,
    `Version: ${one.version}`,
    'Architecture: all',
    'Maintainer: Kiln <kiln@example.org>',
    ...(one.depends === undefined ? [] : [`Depends: ${one.depends}`]),
    ...(one.recommends === undefined ? [] : [`Recommends: ${one.recommends}`]),
    ...(one.provides === undefined ? [] : [`Provides: ${one.provides}`]),
    `Description: ${one.name}, for tests`,
  ];
  return `${lines.join('\n')}\n`;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
