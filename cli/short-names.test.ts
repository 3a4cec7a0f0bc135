import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../core/index.ts';
import { findImageHere, imageNames } from './short-names.ts';

async function machine(conf: string) {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-names-'));
  const file = path.join(folder.path, 'registries.conf');
  await writeFile(file, conf);
  const env = { HOME: folder.path, CONTAINERS_REGISTRIES_CONF: file };
  return { folder, file, context: { env, folder: folder.path } };
}

const digest = `sha256:${'a'.repeat(64)}` as const;
const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 } as never;

function storeOf(...names: string[]) {
  return {
    list: async () => names.map((name) => ({ name, descriptor })),
    resolve: async () => {
      throw new NotFoundError('REFERENCE_NOT_FOUND', 'not here');
    },
  };
}

describe('names in Buildfiles', () => {
  it('are what aliases say, and stay as they are otherwise', async () => {
    const { folder, file, context } = await machine('[aliases]\ntool = "quay.example/people/tool"\n');
    await using _folder = folder;
    const names = await imageNames(context);

    expect(names.inFull('tool:1')).toBe('quay.example/people/tool:1');
    expect(names.inFull('debian:12')).toBe('debian:12');
    expect(names.inFull(`tool@${digest}`)).toBe(`quay.example/people/tool@${digest}`);
    expect(names.sources).toContain(file);
  });

  it('mean one thing: several registries that may have it are refused, whatever the mode', async () => {
    const conf = 'unqualified-search-registries = ["a.example", "b.example"]\nshort-name-mode = "disabled"\n';
    const { folder, context } = await machine(conf);
    await using _folder = folder;
    const names = await imageNames(context);

    expect(() => names.inFull('tool')).toThrow('a.example/tool, b.example/tool');
    expect(names.inFull('a.example/tool')).toBe('a.example/tool');
  });
});

describe('images in the store', () => {
  it('are found under what a short name means, after the name that builds give', async () => {
    const { folder, context } = await machine(
      'unqualified-search-registries = ["a.example", "b.example"]\nshort-name-mode = "enforcing"\n',
    );
    await using _folder = folder;
    const pulled = storeOf('b.example/tool:1');
    const both = storeOf('b.example/tool:1', 'docker.io/library/tool:1');

    expect(await findImageHere(context, pulled, 'tool:1')).toMatchObject({ name: 'b.example/tool:1' });
    expect(await findImageHere(context, both, 'tool:1')).toMatchObject({ name: 'docker.io/library/tool:1' });
    await expect(findImageHere(context, pulled, 'other')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });
});
