import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describe as describeBytes, mediaTypes, parseDigest, streamOf, ToolError } from '../../core/index.ts';
import { blobOf, contentSuite, json, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { ImageArchive } from './image-archive.ts';
import { ImageArchiveReader } from './image-archive-reader.ts';

interface OpenedArchive extends AsyncDisposable {
  readonly archive: ImageArchive;
  readonly file: string;
}

async function openArchive(docker: boolean): Promise<OpenedArchive> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-archive-'));
  const file = path.join(folder.path, 'image.tar');
  const archive = await ImageArchive.create(file, { docker });
  return {
    archive,
    file,
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

for (const docker of [false, true]) {
  contentSuite(docker ? 'a Docker archive' : 'an OCI archive', async () => {
    const opened = await openArchive(docker);
    return {
      target: opened.archive,
      reference: 'localhost:5000/web:1',
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  });
}

function member(file: string, name: string): unknown {
  return JSON.parse(execFileSync('tar', ['-xOf', file, name], { encoding: 'utf8' }));
}

describe('ImageArchive', () => {
  it('is a tar of an OCI layout in which others find the image by its names', async () => {
    await using opened = await openArchive(false);
    const image = await sampleImage('one');
    await copyImage(image.content, opened.archive, image.root);
    await opened.archive.tag(image.root, 'docker.io/library/web:1');
    await opened.archive.tag(image.root, 'example.com/web:latest');

    await opened.archive.finish();

    expect(member(opened.file, 'oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(member(opened.file, 'index.json')).toMatchObject({
      manifests: [
        {
          ...image.root,
          annotations: {
            'io.containerd.image.name': 'docker.io/library/web:1',
            'org.opencontainers.image.ref.name': '1',
          },
        },
        { ...image.root, annotations: { 'io.containerd.image.name': 'example.com/web:latest' } },
      ],
    });
    const names = execFileSync('tar', ['-tf', opened.file], { encoding: 'utf8' });
    expect(names).not.toContain('manifest.json');
    const reader = await ImageArchiveReader.open(opened.file);
    expect(await reader.resolve('docker.io/library/web:1')).toEqual(image.root);
    expect(await reader.resolve('')).toEqual(image.root);
    expect(await reader.resolve(image.root.digest)).toEqual(image.root);
    expect(reader.list().map(({ name }) => name)).toEqual(['docker.io/library/web:1', 'example.com/web:latest']);
    const other = await openArchive(false);
    await copyImage(reader, other.archive, image.root);
    expect(await other.archive.has(image.root)).toBe(true);
    await other[Symbol.asyncDispose]();
  });

  it('tells docker of every image with its names, config and layers', async () => {
    await using opened = await openArchive(true);
    for (const mark of ['one', 'two']) {
      const image = await sampleImage(mark, ['a', mark]);
      await copyImage(image.content, opened.archive, image.root, { concurrency: 1 });
      if (mark === 'one') await opened.archive.tag(image.root, 'docker.io/library/web:1');
      else await opened.archive.add(image.root);
    }

    await opened.archive.finish();

    const listed = member(opened.file, 'manifest.json') as { Config: string; RepoTags: unknown; Layers: string[] }[];
    expect(listed.map(({ RepoTags, Layers }) => [RepoTags, Layers.length])).toEqual([
      [['docker.io/library/web:1'], 2],
      [null, 2],
    ]);
    expect(member(opened.file, listed[1]?.Config ?? '')).toMatchObject({ config: { Labels: { mark: 'two' } } });
    expect(execFileSync('tar', ['-xOf', opened.file, listed[1]?.Layers[1] ?? ''], { encoding: 'utf8' })).toBe('two');
  });

  it('takes no index for docker', async () => {
    await using opened = await openArchive(true);
    const index = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
    const descriptor = describeBytes(mediaTypes.index, index);
    await opened.archive.write(descriptor, streamOf(index));

    await expect(opened.archive.add(descriptor)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });

  it('gives the same bytes for the same images', async () => {
    const bytes = async (): Promise<Buffer> => {
      await using opened = await openArchive(true);
      const image = await sampleImage('one', ['a', 'b', 'c']);
      await copyImage(image.content, opened.archive, image.root, { concurrency: 1 });
      await opened.archive.tag(image.root, 'web:1');
      await opened.archive.finish();
      return readFile(opened.file);
    };

    expect((await bytes()).equals(await bytes())).toBe(true);
  });

  it('goes on after a blob that failed, which leaves nothing behind', async () => {
    await using opened = await openArchive(false);
    const wanted = blobOf('0123456789'.repeat(100));
    await opened.archive.write(blobOf('a'.repeat(3000)).descriptor, streamOf(Buffer.alloc(3000))).catch(() => {});

    await opened.archive.write(wanted.descriptor, streamOf(wanted.bytes));
    await opened.archive.finish();

    expect(
      execFileSync('tar', ['-tf', opened.file], { encoding: 'utf8' })
        .split('\n')
        .filter((name) => /[0-9a-f]{64}$/.test(name)),
    ).toHaveLength(1);
    expect(await text(await (await ImageArchiveReader.open(opened.file)).read(wanted.descriptor))).toBe(
      wanted.bytes.toString(),
    );
  });

  it('takes digests whose names are too long for a plain header', async () => {
    await using opened = await openArchive(false);
    const bytes = Buffer.from('long');
    const { createHash } = await import('node:crypto');
    const digest = parseDigest(`sha512:${createHash('sha512').update(bytes).digest('hex')}`);
    const descriptor = { mediaType: mediaTypes.layer, digest, size: 4 };
    await opened.archive.write(descriptor, streamOf(bytes));
    await opened.archive.finish();

    expect(execFileSync('tar', ['-tf', opened.file], { encoding: 'utf8' })).toContain(digest.slice(7));
    expect(await text(await (await ImageArchiveReader.open(opened.file)).read(descriptor))).toBe('long');
  });

  it('is not there when it was not finished', async () => {
    const opened = await openArchive(false);
    await opened.archive[Symbol.asyncDispose]();

    expect(existsSync(opened.file)).toBe(false);
    await opened[Symbol.asyncDispose]();
  });
});

describe('ImageArchiveReader', () => {
  it('says what is missing', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-archive-'));
    const file = path.join(folder.path, 'x.tar');

    await expect(ImageArchiveReader.open(file)).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
    await writeFile(file, Buffer.alloc(1024));
    await expect(ImageArchiveReader.open(file)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    await expect(ImageArchiveReader.open(folder.path)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  it('fails by a ToolError only, whatever the bytes', async () => {
    await using opened = await openArchive(true);
    const image = await sampleImage('one');
    await copyImage(image.content, opened.archive, image.root);
    await opened.archive.tag(image.root, 'web:1');
    await opened.archive.finish();
    const whole = await readFile(opened.file);
    const file = `${opened.file}.damaged`;

    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), async (at, byte, length) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        await writeFile(file, bytes);
        await truncate(file, length);

        const reading = ImageArchiveReader.open(file).then((reader) => reader.resolve('web:1'));
        await reading.catch((error: unknown) => expect(error).toBeInstanceOf(ToolError));
      }),
      { numRuns: 200 },
    );
  });
});
