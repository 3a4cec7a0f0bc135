import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from '../../builder/fetch/misbehaving-server.testing.ts';
import { sha256 } from '../../core/index.ts';
import { endOfArchive, member, paxMember } from '../../runtime/layer/raw-tar.testing.ts';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject } from './kiln.ts';
import { openSiege, refusal, type Siege, stepsOnBase } from './siege.ts';

const gibibyte = 1024 ** 3;

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay', 'docker-registry')).each(accountKinds())(
  'hostile archives and images, as %s',
  (kind) => {
    let siege: Siege;
    beforeAll(async () => {
      siege = await openSiege(kind);
    });
    afterEach(() => siege.unharmed());
    afterAll(() => siege[Symbol.asyncDispose]());

    /** Builds with an archive that is unpacked into /x, beside a link out of it. */
    async function unpack(bytes: Buffer): Promise<{ readonly status: number; readonly stderr: string }> {
      await using server = await startServer((_request, response) => void response.end(bytes));
      const fetch = `fetch = "${server.origin}/x.tgz", checksum = "${sha256(bytes)}"`;
      const steps = stepsOnBase(`${fetch}, to = "/x", unpack = true`, 'run = "ls -lR /x"');
      return await siege.build(siege.context({ Buildfile: steps }));
    }

    it('a member whose name is absolute lies below the destination', async () => {
      const name = path.join(siege.outside, 'planted');
      const outcome = await unpack(gzipSync(Buffer.concat([member({ name, content: 'planted' }), endOfArchive])));

      expect(outcome).toMatchObject({ status: 0, stderr: expect.stringContaining(`/x${siege.outside}:\n`) });
    });

    it.each([
      ['leads up', () => [member({ name: '../../../../../../../up', content: 'planted' })]],
      ['is a hard link to the machine’s file', () => [member({ name: 'passwd', flag: '1', link: '/etc/passwd' })]],
      [
        'is a hard link that leads up',
        () => [member({ name: 'm', flag: '1', link: `../../..${siege.outside}/marker` })],
      ],
      [
        'is written through a symlink',
        () => [
          member({ name: 'out', flag: '2', link: siege.outside }),
          member({ name: 'out/planted', content: 'planted' }),
        ],
      ],
      [
        'has a long name that leads up',
        () => [paxMember({ path: `a/${'../'.repeat(20)}planted` }), member({ content: 'planted' })],
      ],
      ['is a device', () => [member({ name: 'disk', flag: '4', device: ['10', '0'] })]],
      ['says that it is huge', () => [member({ name: 'huge', size: '77777777777\0' })]],
      ['says that it is less than nothing', () => [paxMember({ size: '-1' }), member({ content: 'x' })]],
      ['is a whiteout', () => [member({ name: '.wh..wh..opq' }), member({ name: '.wh.bin' })]],
    ])('a member that %s', async (_what, members) => {
      const outcome = await unpack(gzipSync(Buffer.concat([...members(), endOfArchive])));

      expect(outcome).toMatchObject(refusal(4, /cannot be unpacked: .*\n(.*\n)*.*Buildfile:3/));
    });

    it('an archive that breaks off, and one that is none', async () => {
      const whole = gzipSync(Buffer.concat([member({ content: 'x'.repeat(100_000) }), endOfArchive]));

      expect(await unpack(whole.subarray(0, -20))).toMatchObject(refusal(4, /Buildfile:3/));
      expect(await unpack(Buffer.from('<html>no such file</html>'))).toMatchObject(refusal(4, /Buildfile:3/));
    });

    let layouts = 0;
    interface Lies {
      readonly layer?: Buffer;
      readonly diffId?: string;
      readonly config?: string;
      readonly manifest?: (layer: object) => string;
    }

    /** An OCI layout with an image of one layer, and whatever is wrong about it. */
    function layout(lies: Lies): string {
      // Bytes that no other test brought: what a store has is not read again.
      const honest = Buffer.concat([member({ name: 'file', content: `honest ${++layouts}` }), endOfArchive]);
      const context = siege.context({ Buildfile: 'from = "oci:image"\nsteps = [{ workdir = "/x" }]\n' });
      const blobs = path.join(context, 'image', 'blobs', 'sha256');
      mkdirSync(blobs, { recursive: true });
      const put = (mediaType: string, bytes: string | Buffer, stored = bytes) => {
        const hex = createHash('sha256').update(bytes).digest('hex');
        writeFileSync(path.join(blobs, hex), stored);
        return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
      };
      const oci = 'application/vnd.oci.image';
      const layer = put(`${oci}.layer.v1.tar`, honest, lies.layer ?? honest);
      const rootfs = { type: 'layers', diff_ids: [lies.diffId ?? layer.digest] };
      const architecture = process.arch === 'x64' ? 'amd64' : 'arm64';
      const config = put(
        `${oci}.config.v1+json`,
        lies.config ?? JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }),
      );
      const manifest = { schemaVersion: 2, mediaType: `${oci}.manifest.v1+json`, config, layers: [layer] };
      const text = lies.manifest?.(layer) ?? JSON.stringify(manifest);
      const index = { schemaVersion: 2, manifests: [put(`${oci}.manifest.v1+json`, text)] };
      writeFileSync(path.join(context, 'image', 'index.json'), JSON.stringify(index));
      writeFileSync(path.join(context, 'image', 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
      return context;
    }

    it('a base that is what it says', async () => {
      expect(await siege.build(layout({}))).toMatchObject({ status: 0 });
    });

    const otherFile = Buffer.concat([member({ name: 'file', content: 'lies!!' }), endOfArchive]);
    const many = (layer: object, count: number): string => {
      const layers = Array.from({ length: count }, () => layer);
      const config = { ...layer, mediaType: 'application/vnd.oci.image.config.v1+json' };
      return JSON.stringify({ schemaVersion: 2, config, layers });
    };
    it.each<readonly [string, Lies]>([
      ['whose layer has other bytes', { layer: otherFile }],
      ['whose layer is longer than it says', { layer: Buffer.concat([endOfArchive, Buffer.alloc(1 << 20)]) }],
      ['that lies about the unpacked layer', { diffId: `sha256:${'0'.repeat(64)}` }],
      ['whose digest is a path', { diffId: 'sha256:../../../../outside/marker' }],
      ['with a million layers', { manifest: (layer) => many(layer, 1_000_000) }],
      ['with ten thousand layers', { manifest: (layer) => many(layer, 10_000) }],
      ['whose manifest is nested deeply', { manifest: () => '['.repeat(1_000_000) }],
      ['whose config is nested deeply', { config: `{"a":${'['.repeat(500_000)}` }],
      ['whose config is no object', { config: 'null' }],
    ])('a base %s', async (_what, lies) => {
      const outcome = await siege.build(layout(lies));

      expect(outcome).toMatchObject({ status: 6, stdout: '' });
      expect(outcome.stderr).toMatch(/Buildfile:[12]/);
    });

    it('an archive of caches that leads out, or is none', async () => {
      const folder = siege.account.folder('caches');
      const manifest = (at: string) =>
        JSON.stringify({
          caches: [{ folder: at, id: 'c', platform: 'linux/amd64' }],
          format: 'kiln-caches',
          version: 1,
        });
      const listed = (at: string) => member({ name: 'kiln-caches.json', content: manifest(at) });
      const archives = {
        garbage: Buffer.from('garbage'),
        nested: member({ name: 'kiln-caches.json', content: '['.repeat(100_000) }),
        up: Buffer.concat([listed('caches/0'), member({ name: 'caches/0/../../../outside/planted' })]),
        folder: Buffer.concat([listed('../../outside'), member({ name: '../../outside/planted' })]),
        link: Buffer.concat([listed('caches/0'), member({ name: 'caches/0/m', flag: '1', link: '/etc/passwd' })]),
      };
      for (const [name, bytes] of Object.entries(archives)) {
        writeFileSync(path.join(folder, name), Buffer.concat([bytes, endOfArchive]));

        expect(await siege.run(['cache', 'import', path.join(folder, name)]), name).toMatchObject(
          refusal(6, /archive|leads out|hard link/),
        );
      }
      expect(await siege.run(['cache', 'ls'])).toMatchObject({
        status: 0,
        stdout: expect.not.stringContaining('linux'),
      });
      // As in a layer, the later member stands in the place of the symlink.
      const through = [
        listed('caches/0'),
        member({ name: 'caches/0/', flag: '5', mode: '0000755\0' }),
        member({ name: 'caches/0/out', flag: '2', link: siege.outside }),
        member({ name: 'caches/0/out/planted', content: 'planted' }),
      ];
      writeFileSync(path.join(folder, 'through'), Buffer.concat([...through, endOfArchive]));
      expect(await siege.run(['cache', 'import', path.join(folder, 'through')])).toMatchObject({ status: 0 });
    });

    it('a cache of steps that was tampered with', async () => {
      const context = busyboxProject(siege.account, 'cached');
      const cache = path.join(siege.account.home, 'step-cache');
      const honest = await siege.build(context, ['--cache-to', `type=local,dest=${cache},mode=max`]);
      const blobs = readdirSync(path.join(cache, 'blobs', 'sha256'));
      let warnings = 0;

      for (const [at, blob] of blobs.entries()) {
        const tampered = path.join(siege.account.home, `step-cache-${at}`);
        cpSync(cache, tampered, { recursive: true });
        flipLast(path.join(tampered, 'blobs', 'sha256', blob));
        const env = { KILN_HOME: path.join(siege.account.home, `store-${at}`) };

        const outcome = await siege.build(context, ['--cache-from', `type=local,src=${tampered}`], { env });

        // What it cannot trust it makes itself.
        expect(outcome).toMatchObject({ status: 0, stdout: honest.stdout });
        warnings += /warning: cache .* are not what that digest names/.test(outcome.stderr) ? 1 : 0;
      }
      expect(warnings).toBeGreaterThanOrEqual(4);
    });

    it('a registry that serves other bytes', async () => {
      await using registry = await startDockerRegistry();
      const context = busyboxProject(siege.account, 'pushed');
      const target = ['--cache-to', `type=registry,ref=${registry.host}/cache:1`, '--push'];
      const honest = await siege.run(['build', '-t', `${registry.host}/base:1`, ...target, '--no-cache', context]);
      expect(honest).toMatchObject({ status: 0 });
      await using liar = await startServer((request, response) => {
        void forward(registry.host, request.method, request.url, request.headers).then(({ status, headers, bytes }) => {
          if (request.url?.includes('/blobs/') && bytes.length > 0) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          response.writeHead(status, headers).end(bytes);
        });
      });
      const host = liar.origin.slice('http://'.length);
      const env = { KILN_HOME: path.join(siege.account.home, 'store-of-lies') };

      const from = ['--cache-from', `type=registry,ref=${host}/cache:1`];
      const cached = await siege.build(context, from, { env });
      const based = await siege.build(
        siege.context({ Buildfile: `from = "${host}/base:1"\nsteps = [{ run = "true" }]\n` }),
        [],
        { env },
      );

      expect(based).toMatchObject(refusal(6, /sha256:/));
      expect(cached).toMatchObject({ status: 0, stdout: honest.stdout.split('\n', 1)[0]?.concat('\n') });
      expect(cached.stderr).toMatch(/warning: cache .* are not what that digest names/);
    });

    // It is a legal layer, and takes the disk that it says. Last, for the store is searched after each test.
    it.skipIf(kind === 'root')('a gigabyte of zeros in a tiny archive', async () => {
      const zeros = gzipSync(Buffer.alloc(gibibyte / 64));
      const header = gzipSync(member({ name: 'zeros', size: '10000000000\0' }));
      const archive = Buffer.concat([header, ...Array.from({ length: 64 }, () => zeros), gzipSync(endOfArchive)]);
      expect(archive.length).toBeLessThan(2_000_000);
      let peakKib = 0;
      const watch = setInterval(() => {
        peakKib = Math.max(peakKib, ...peaksOf(siege.account.home));
      }, 50);

      const outcome = await unpack(archive);
      clearInterval(watch);

      expect(outcome).toMatchObject({ status: 0 });
      expect(outcome.stderr).toMatch(/1073741824 .* zeros/);
      expect(peakKib).toBeGreaterThan(0);
      expect(peakKib).toBeLessThan(400 * 1024);
    });
  },
);

function flipLast(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const { mode } = statSync(file);
  writeFileSync(file, bytes, { mode });
}

async function forward(
  host: string,
  method = 'GET',
  url = '/',
  asked: NodeJS.Dict<string | string[]> = {},
): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly bytes: Buffer }> {
  const headers = { accept: String(asked.accept ?? '*/*') };
  const response = await fetch(`http://${host}${url}`, { method, headers, redirect: 'manual' });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: Object.fromEntries(response.headers), bytes };
}

/** The largest resident size so far, in KiB, of each process that was started for this home. */
function peaksOf(home: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((id) => {
      try {
        if (!readFileSync(`/proc/${id}/environ`, 'latin1').includes(home)) return [];
        const [, peak] = readFileSync(`/proc/${id}/status`, 'latin1').match(/^VmHWM:\s+(\d+) kB$/m) ?? [];
        return peak === undefined ? [] : [Number(peak)];
      } catch {
        return []; // It has ended.
      }
    });
}
