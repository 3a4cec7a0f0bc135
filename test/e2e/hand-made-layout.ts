import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endOfArchive, member, type RawMember } from '../../runtime/layer/raw-tar.testing.ts';

/** What lies beside the folder that hostile layers are unpacked to. */
export const outsideFile = 'outside';

/** Writes an OCI layout by hand, with one image, named `image`, of these uncompressed layers. */
export function layoutOf(folder: string, layers: readonly Buffer[]): void {
  mkdirSync(path.join(folder, 'blobs', 'sha256'), { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(path.join(folder, 'blobs', 'sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (mediaType: string, value: object) => put(mediaType, Buffer.from(JSON.stringify(value)));
  const blobs = layers.map((layer) => put('application/vnd.oci.image.layer.v1.tar', layer));
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const config = json('application/vnd.oci.image.config.v1+json', {
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = json(mediaType, { schemaVersion: 2, mediaType, config, layers: blobs });
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'image' } };
  writeFileSync(path.join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  writeFileSync(path.join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

function tar(...members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.map(member), endOfArchive]);
}

const link = (name: string, target: string): RawMember => ({ name, flag: '2', link: target });

/** Layers that mean harm, by what happens: refused, or kept inside. The argument is the folder outside. */
export const hostileLayer = {
  refusedDotDot: () => [tar({ name: `../${outsideFile}`, content: 'harm' })],
  refusedDotDotInside: () => [tar({ name: `a/../../${outsideFile}`, content: 'harm' })],
  refusedHardLinkOut: () => [tar({ name: 'x', flag: '1', link: `../${outsideFile}` })],
  refusedHardLinkThroughSymlink: (folder: string) => [
    tar(link('s', folder), { name: 'x', flag: '1', link: `s/${outsideFile}` }, { name: 'x', content: 'harm' }),
  ],
  refusedWhiteoutOfParent: () => [tar({ name: 'a/.wh...' })],
  refusedLoop: () => [tar(link('a', 'b'), link('b', 'a'), { name: 'a/x', content: 'harm' })],
  absolute: () => [tar({ name: '/kiln-escaped', content: 'harm' })],
  throughSymlink: (folder: string) => [tar(link('s', folder), { name: `s/${outsideFile}`, content: 'harm' })],
  throughRelativeSymlink: () => [tar(link('s', '..'), { name: `s/${outsideFile}`, content: 'harm' })],
  throughSymlinkOfTheLayerBelow: (folder: string) => [
    tar(link('s', folder)),
    tar({ name: `s/${outsideFile}`, content: 'harm' }),
  ],
  whiteoutThroughSymlink: (folder: string) => [tar(link('s', folder)), tar({ name: `s/.wh.${outsideFile}` })],
  opaqueThroughSymlink: (folder: string) => [tar(link('s', folder)), tar({ name: 's/.wh..wh..opq' })],
  ownersOfAllKinds: () => [
    tar(
      { name: 'closed/', flag: '5', mode: '0000500\0' },
      { name: 'closed/file', content: 'x' },
      { name: 'owned', mode: '0004755\0', uid: '0001750\0' },
    ),
  ],
  deviceNode: () => [tar({ name: 'dev/', flag: '5' }, { name: 'dev/sda', flag: '4', device: ['10', '0'] })],
} as const satisfies Readonly<Record<string, (folder: string) => readonly Buffer[]>>;
