import { execFileSync } from 'node:child_process';
import { mkdtempDisposable, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  describe as describeBytes,
  digestHex,
  LockFolder,
  mediaTypes,
  sleep,
  streamOf,
} from '../../core/index.ts';
import { blobOf, contentSuite, inChunks, json, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { OciLayout } from './oci-layout.ts';

async function openLayout(): Promise<AsyncDisposable & { layout: OciLayout; folder: string }> {
  const temporary = await mkdtempDisposable(path.join(tmpdir(), 'kiln-layout-'));
  const folder = path.join(temporary.path, 'content');
  const layout = await OciLayout.open(folder, { locks: new LockFolder(path.join(temporary.path, 'locks')) });
  return { layout, folder, [Symbol.asyncDispose]: () => temporary.remove() };
}

contentSuite('an OCI layout', async () => {
  const opened = await openLayout();
  return {
    target: opened.layout,
    reference: 'localhost:5000/web:1',
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

describe('OciLayout', () => {
  it('is a valid layout from the start, and leaves nothing beside its blobs after a write that failed', async () => {
    await using opened = await openLayout();

    await opened.layout.write(blobOf('a').descriptor, streamOf(Buffer.from('b'))).catch(() => undefined);

    expect(JSON.parse(await readFile(path.join(opened.folder, 'oci-layout'), 'utf8'))).toEqual({
      imageLayoutVersion: '1.0.0',
    });
    expect(JSON.parse(await readFile(path.join(opened.folder, 'index.json'), 'utf8'))).toEqual({
      schemaVersion: 2,
      manifests: [],
    });
    expect(await readdir(path.join(opened.folder, 'blobs', 'sha256'))).toEqual([]);
    expect(await readdir(path.join(opened.folder, '.incoming'))).toEqual([]);
  });

  it('finds the digest of what it ingests, and lets everybody read the file', async () => {
    await using opened = await openLayout();
    const { bytes, descriptor } = blobOf('0123456789'.repeat(300_000));

    const ingested = await opened.layout.ingest(inChunks(bytes, 70_000));

    expect(ingested).toEqual({ digest: descriptor.digest, size: descriptor.size });
    const file = path.join(opened.folder, 'blobs', 'sha256', digestHex(descriptor.digest));
    expect(opened.layout.blobFile(descriptor.digest)).toBe(file);
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });

  it('lists names in order, and forgets one', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(image.root, 'docker.io/library/b:1');
    await opened.layout.tag(image.root, 'docker.io/library/a:1');

    expect(await opened.layout.untag('docker.io/library/b:1')).toEqual(image.root);
    expect(await opened.layout.untag('docker.io/library/b:1')).toBeUndefined();

    expect(await opened.layout.list()).toEqual([{ name: 'docker.io/library/a:1', descriptor: image.root }]);
  });

  it('keeps what other tools wrote into index.json', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    const foreign = { ...image.root, data: 'e30=', annotations: { 'org.example.x': 'y' } };
    const named = {
      ...image.root,
      annotations: { 'org.opencontainers.image.ref.name': 'web:1', 'org.example.x': 'z' },
    };
    const odd = { mediaType: 'no type', later: true };
    await writeFile(
      path.join(opened.folder, 'index.json'),
      json({ schemaVersion: 2, extension: { a: 1 }, manifests: [foreign, odd, named], annotations: { k: 'v' } }),
    );

    await opened.layout.tag(image.root, 'web:1');
    await opened.layout.tag(image.root, 'web:2');
    await opened.layout.untag('web:2');

    expect(JSON.parse(await readFile(path.join(opened.folder, 'index.json'), 'utf8'))).toEqual({
      schemaVersion: 2,
      extension: { a: 1 },
      manifests: [foreign, odd, named],
      annotations: { k: 'v' },
    });
  });

  it('does not tag a manifest whose layer is missing', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await opened.layout.write(image.root, await image.content.read(image.root));

    await expect(opened.layout.tag(image.root, 'web:1')).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });

    expect(await opened.layout.list()).toEqual([]);
    expect(await opened.layout.has(image.root)).toBe(false);
  });

  it('resolves by digest, by name with digest, and without a name where there is one image only', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);

    expect(await opened.layout.resolve(image.root.digest)).toEqual(image.root);
    expect(await opened.layout.resolve(`docker.io/library/web@${image.root.digest}`)).toEqual(image.root);
    await expect(opened.layout.resolve('')).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
    await writeFile(path.join(opened.folder, 'index.json'), json({ schemaVersion: 2, manifests: [image.root] }));
    expect(await opened.layout.resolve('')).toEqual(image.root);
    expect(await opened.layout.resolve('anything')).toEqual(image.root);
    await opened.layout.tag(image.root, 'web:1');
    await expect(opened.layout.resolve('anything')).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
  });

  it('suggests the name that was meant', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(image.root, 'localhost/web:1');
    await opened.layout.tag(image.root, 'localhost/db:1');

    await expect(opened.layout.resolve('localhost/wbe:1')).rejects.toMatchObject({
      hint: 'did you mean localhost/web:1?',
    });
  });
});

describe('OciLayout.collectGarbage', () => {
  const later = { now: Date.now() + 3_600_000, minAgeMs: 60_000 };

  it('removes what no name and no kept digest reaches', async () => {
    await using opened = await openLayout();
    const [named, kept, loose] = [await sampleImage('one'), await sampleImage('two'), await sampleImage('three')];
    for (const image of [named, kept, loose]) await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(named.root, 'web:1');

    const collected = await opened.layout.collectGarbage({ ...later, keep: [kept.root.digest] });

    const gone = [loose.root, ...loose.blobs];
    expect([...collected.removed].sort()).toEqual(gone.map((descriptor) => descriptor.digest).sort());
    expect(collected.bytes).toBeGreaterThanOrEqual(gone.reduce((sum, descriptor) => sum + descriptor.size, 0));
    expect(await opened.layout.has(named.root)).toBe(true);
    expect(await opened.layout.has(kept.root)).toBe(true);
  });

  it('keeps what came lately, or was asked for lately, however old its bytes', async () => {
    await using opened = await openLayout();
    const [old, wanted, fresh] = [blobOf('old'), blobOf('wanted'), blobOf('fresh')];
    for (const blob of [old, wanted]) await opened.layout.write(blob.descriptor, streamOf(blob.bytes));
    await sleep(300);
    await opened.layout.has(wanted.descriptor);
    await opened.layout.write(fresh.descriptor, streamOf(fresh.bytes));

    const collected = await opened.layout.collectGarbage({ now: Date.now(), minAgeMs: 200 });

    expect(collected.removed).toEqual([old.descriptor.digest]);
  });

  it('removes what a killed writer left behind', async () => {
    await using opened = await openLayout();
    await opened.layout.ingest(streamOf(Buffer.from('x')));
    await writeFile(path.join(opened.folder, '.incoming', 'half'), 'half a blo');

    await opened.layout.collectGarbage(later);

    expect(await readdir(path.join(opened.folder, '.incoming'))).toEqual([]);
  });
});

describe('what refers to an image of a layout', () => {
  const later = { now: Date.now() + 3_600_000, minAgeMs: 60_000 };

  /** An image, its signature, and an SBOM of the signature: each refers to the one before. */
  async function signedImage(mark: string) {
    const image = await sampleImage(mark);
    const config = blobOf('{}', mediaTypes.empty);
    await image.content.write(config.descriptor, streamOf(config.bytes));
    const attach = async (subject: Descriptor, artifactType: string): Promise<Descriptor> => {
      const fields = { artifactType, config: config.descriptor, layers: [], subject };
      const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, ...fields });
      const descriptor = describeBytes(mediaTypes.manifest, bytes);
      await image.content.write(descriptor, streamOf(bytes));
      return descriptor;
    };
    const signature = await attach(image.root, 'example/signature');
    return { ...image, signature, sbom: await attach(signature, 'example/sbom') };
  }

  async function store(layout: OciLayout, image: Awaited<ReturnType<typeof signedImage>>): Promise<void> {
    for (const part of [image.root, image.signature, image.sbom]) await copyImage(image.content, layout, part);
    for (const part of [image.signature, image.sbom]) await layout.keepReferrer(part);
  }

  it('is told, by type when asked so, and does not make the one image less alone', async () => {
    await using opened = await openLayout();
    const image = await signedImage('one');
    await store(opened.layout, image);
    await opened.layout.keepReferrer(image.signature);
    await opened.layout.tag(image.root, 'web:1');

    expect(await opened.layout.referrers(image.root.digest)).toEqual([
      { ...image.signature, artifactType: 'example/signature' },
    ]);
    expect(await opened.layout.referrers(image.root.digest, { artifactType: 'example/sbom' })).toEqual([]);
    expect(await opened.layout.resolve('')).toEqual(image.root);
    expect((await opened.layout.list()).map(({ name }) => name)).toEqual(['web:1']);
  });

  it('stays as long as the image, and goes with it', async () => {
    await using opened = await openLayout();
    const image = await signedImage('one');
    await store(opened.layout, image);
    await opened.layout.tag(image.root, 'web:1');

    expect((await opened.layout.collectGarbage(later)).removed).toEqual([]);
    expect(await opened.layout.referrers(image.signature.digest)).toHaveLength(1);

    await opened.layout.untag('web:1');
    const { removed } = await opened.layout.collectGarbage(later);

    expect(removed).toContain(image.sbom.digest);
    expect(await opened.layout.blobs()).toEqual([]);
    expect(JSON.parse(await readFile(path.join(opened.folder, 'index.json'), 'utf8')).manifests).toEqual([]);
  });
});

describe('OciLayout.openReadOnly', () => {
  it('reads a layout without changing it', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(image.root, 'web:1');

    const reader = await OciLayout.openReadOnly(opened.folder);

    expect(await reader.resolve('web:1')).toEqual(image.root);
    expect(await text(await reader.read(image.blobs[0] as Descriptor))).toBe('layer of one');
  });

  it.each([
    ['a folder without oci-layout', undefined, 'LAYOUT_NOT_FOUND'],
    ['an oci-layout that is not JSON', '{', 'LAYOUT_INVALID'],
    ['another version', '{"imageLayoutVersion":"2.0.0"}', 'LAYOUT_INVALID'],
    ['no version', 'null', 'LAYOUT_INVALID'],
  ])('refuses %s', async (_what, marker, code) => {
    await using temporary = await mkdtempDisposable(path.join(tmpdir(), 'kiln-layout-'));
    if (marker !== undefined) await writeFile(path.join(temporary.path, 'oci-layout'), marker);

    await expect(OciLayout.openReadOnly(temporary.path)).rejects.toMatchObject({ code });
  });

  it.each(['oci-layout', 'index.json'])('does not wait for a pipe in the place of %s', async (name) => {
    await using opened = await openLayout();
    await rm(path.join(opened.folder, name));
    execFileSync('mkfifo', [path.join(opened.folder, name)]);

    const reading = OciLayout.openReadOnly(opened.folder).then((layout) => layout.list());

    await expect(reading).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  it('looks once at what indexes name over and over', async () => {
    await using opened = await openLayout();
    const signal = AbortSignal.timeout(4000);
    let top = blobOf('{}').descriptor;
    await opened.layout.write(top, streamOf(Buffer.from('{}')));
    for (let depth = 0; depth < 4; depth++) {
      const manifests = Array.from({ length: 40 }, () => top);
      const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests });
      top = describeBytes(mediaTypes.index, bytes);
      await opened.layout.write(top, streamOf(bytes));
    }

    await opened.layout.tag(top, 'localhost:5000/many:1', { signal });

    expect(await opened.layout.has(top, { signal })).toBe(true);
  });

  it('does not follow a blob that is a symbolic link', async () => {
    await using opened = await openLayout();
    const { descriptor } = blobOf('secret of the host', mediaTypes.layer);
    await symlink('/etc/passwd', opened.layout.blobFile(descriptor.digest));
    const reader = await OciLayout.openReadOnly(opened.folder);

    await expect(reader.read(descriptor)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });
});
