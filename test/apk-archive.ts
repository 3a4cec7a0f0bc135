import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { hostToolsBase } from '../fixtures/bases/host-tools-base.ts';
import type { Entry } from '../runtime/index.ts';

export interface ApkPackage {
  readonly name: string;
  readonly version: string;
  /** Names, with versions where they matter. */
  readonly depends?: readonly string[];
  readonly provides?: readonly string[];
  /** Runs with /bin/sh after the install. */
  readonly postInstall?: string;
}

/** A signed repository of apk packages on the loopback interface. */
export interface ApkArchive extends AsyncDisposable {
  /** Of /etc/apk/repositories. */
  readonly repository: string;
  /** Of /etc/apk/keys/kiln.rsa.pub. */
  readonly publicKey: string;
  readonly requests: string[];
  /** Replaces all it has. */
  serve(packages: readonly ApkPackage[]): void;
}

const architecture = process.arch === 'x64' ? 'x86_64' : 'aarch64';
const buildSeconds = 1_640_995_200;

export async function startApkArchive(): Promise<ApkArchive> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
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
  return {
    repository: `http://127.0.0.1:${address.port}/main\n`,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    requests,
    serve(packages) {
      files.clear();
      const stanzas = packages.map((one) => {
        const { bytes, hash } = buildApk(one, privateKey);
        files.set(`/main/${architecture}/${one.name}-${one.version}.apk`, bytes);
        return indexStanza(one, bytes.length, hash);
      });
      const index = gzipSync(tar({ DESCRIPTION: 'test', APKINDEX: `${stanzas.join('\n\n')}\n\n` }, 'whole'));
      files.set(`/main/${architecture}/APKINDEX.tar.gz`, Buffer.concat([signature(index, privateKey), index]));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A root file system with this machine's apk, and the archive as its only repository. */
export function apkBase(program: string, archive: ApkArchive): AsyncIterable<Entry> {
  return hostToolsBase({
    programs: [],
    moved: { 'sbin/apk': program },
    files: {
      'etc/os-release': 'ID=alpine\nVERSION_ID=3.20.1\n',
      'etc/apk/repositories': archive.repository,
      'etc/apk/keys/kiln.rsa.pub': archive.publicKey,
      'etc/apk/world': '',
      'etc/apk/arch': `${architecture}\n`,
      'lib/apk/db/installed': '',
      'lib/apk/db/triggers': '',
      'lib/apk/db/lock': '',
    },
    emptyFolders: ['var/cache/apk', 'lib/apk/exec', 'var/log'],
  });
}

/** Signature, control part, content: a gzip stream each, of which the first two have no end of archive. */
function buildApk(one: ApkPackage, key: KeyObject): { readonly bytes: Buffer; readonly hash: string } {
  const content = gzipSync(tar({ [`usr/share/${one.name}`]: `${one.version}\n` }, 'whole', 'checksums'));
  const info = [
    `pkgname = ${one.name}`,
    `pkgver = ${one.version}`,
    'pkgdesc = for tests',
    `builddate = ${buildSeconds}`,
    'size = 4096',
    `arch = ${architecture}`,
    ...(one.depends ?? []).map((name) => `depend = ${name}`),
    ...(one.provides ?? []).map((name) => `provides = ${name}`),
    `datahash = ${createHash('sha256').update(content).digest('hex')}`,
    '',
  ];
  const scripts: Record<string, string> =
    one.postInstall === undefined ? {} : { '.post-install': `#!/bin/sh\n${one.postInstall}\n` };
  const control = gzipSync(tar({ '.PKGINFO': info.join('\n'), ...scripts }, 'part'));
  const hash = `Q1${createHash('sha1').update(control).digest('base64')}`;
  return { bytes: Buffer.concat([signature(control, key), control, content]), hash };
}

function indexStanza(one: ApkPackage, size: number, hash: string): string {
  return [
    `C:${hash}`,
    `P:${one.name}`,
    `V:${one.version}`,
    `A:${architecture}`,
    `S:${size}`,
    'I:4096',
    'T:for tests',
    `t:${buildSeconds}`,
    ...(one.depends === undefined ? [] : [`D:${one.depends.join(' ')}`]),
    ...(one.provides === undefined ? [] : [`p:${one.provides.join(' ')}`]),
  ].join('\n');
}

function signature(bytes: Buffer, key: KeyObject): Buffer {
  return gzipSync(tar({ '.SIGN.RSA.kiln.rsa.pub': sign('sha1', bytes, key) }, 'part'));
}

function tar(files: Readonly<Record<string, string | Buffer>>, end: 'whole' | 'part', checksums?: 'checksums'): Buffer {
  const parts: Buffer[] = [];
  const folders = new Set<string>();
  for (const [name, value] of Object.entries(files)) {
    const bytes = Buffer.from(value);
    for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) folders.add(name.slice(0, at));
    for (const folder of folders) parts.push(header(`${folder}/`, 0, '5'));
    folders.clear();
    if (checksums !== undefined) {
      const record = `APK-TOOLS.checksum.SHA1=${createHash('sha1').update(bytes).digest('hex')}\n`;
      const line = `${record.length + 3} ${record}`;
      parts.push(header('PaxHeaders/x', line.length, 'x'), padded(Buffer.from(line)));
    }
    parts.push(header(name, bytes.length, '0'), padded(bytes));
  }
  return Buffer.concat(end === 'whole' ? [...parts, Buffer.alloc(1024)] : parts);
}

function header(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  block.write(name, 0);
  block.write(octal(0o755, 7) + octal(0, 7) + octal(0, 7) + octal(size, 11) + octal(buildSeconds, 11), 100);
  block.write(`        ${type}`, 148);
  block.write('ustar\x0000root', 257);
  block.write('root', 297);
  block.write(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    ),
    148,
  );
  return block;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}
