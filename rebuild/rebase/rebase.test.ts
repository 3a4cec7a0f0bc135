import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  describe as descriptorOf,
  mediaTypes,
  openImage,
  parseIndex,
  parsePlatform,
  readVerified,
  serializeManifest,
  streamOf,
  type Target,
} from '../../core/index.ts';
import { memoryTarget } from '../../registry/index.ts';
import type { Entry } from '../../runtime/index.ts';
import { file } from '../../runtime/layer/odd-layers.testing.ts';
import { dpkgStatus, type MadeImage, type MadeImageOptions, madeImage } from '../../test/made-image.ts';
import { memoryRegistry } from '../../test/memory-registry.ts';
import { Bases } from '../bases.ts';
import { planRebase, type RebaseOptions, type RebasePlan, writeRebased } from './rebase.ts';

const platform = parsePlatform('linux/amd64');
const nameKey = 'org.opencontainers.image.base.name';
const digestKey = 'org.opencontainers.image.base.digest';
const base = (version: string): Entry[] => [
  file('var/lib/dpkg/status', dpkgStatus({ zlib: version })),
  file('lib/z', version),
];

/** A registry with `r.example/base`, old and new, of two layers each. */
async function bench(options: MadeImageOptions = {}) {
  const registry = memoryRegistry();
  const repository = registry.at('r.example/base');
  const made = async (version: string) => {
    const image = await madeImage([base(version), [file('etc/base')]], { platform, target: repository, ...options });
    await repository.tag(image.root, image.root.digest);
    return image;
  };
  const [old, fresh] = [await made('1'), await made('2')];
  await repository.tag(fresh.root, 'latest');
  const said = { [nameKey]: 'r.example/base', [digestKey]: old.root.digest };
  return { registry, repository, old, fresh, said };
}

async function plan(
  registry: ReturnType<typeof memoryRegistry>,
  image: Pick<MadeImage, 'content' | 'root'>,
  options: Partial<RebaseOptions> = {},
): Promise<RebasePlan> {
  await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-rebase-`);
  let count = 0;
  return await planRebase(
    { content: image.content, root: image.root, isNear: true },
    {
      bases: new Bases({ store: memoryTarget(), repository: (reference) => registry.repository(reference) }),
      scratch: async () => {
        const folder = path.join(scratch.path, String(++count));
        await mkdir(folder);
        return folder;
      },
      ...options,
    },
  );
}

async function written({ result }: RebasePlan, target: Target = memoryTarget()) {
  if (result === undefined) throw new TypeError('nothing was made');
  const root = await writeRebased(result, target, {});
  return { root, target, image: await openImage(target, root, { platform }) };
}

const own = [file('srv/app', 'app')];

describe('planRebase', () => {
  it('gives the image that a build on the new base would have given', async () => {
    const { registry, fresh, said } = await bench();
    const history = ['layer 1', 'layer 2', 'COPY app'].map((text) => ({ created_by: text }));
    const options = { platform, history, config: { Cmd: ['app'] } };
    const image = await madeImage([base('1'), [file('etc/base')], own], { ...options, annotations: said });
    const annotations = { [nameKey]: 'r.example/base:latest', [digestKey]: fresh.root.digest };
    const built = await madeImage([base('2'), [file('etc/base')], own], { ...options, annotations });

    const planned = await plan(registry, image);

    expect(planned).toMatchObject({
      before: image.root,
      images: [{ state: 'safe', packages: [{ name: 'zlib', from: '1', to: '2' }] }],
    });
    expect((await written(planned)).root.digest).toBe(built.root.digest);
    expect(planned.result?.root.digest).toBe((await plan(registry, image)).result?.root.digest);
  });

  it('keeps what it does not know of the configuration', async () => {
    const { registry, said } = await bench();
    const made = await madeImage([base('1'), [file('etc/base')], own], { platform, annotations: said });
    const raw = JSON.parse((await readVerified(made.target, made.image.manifest.config)).toString());
    const bytes = Buffer.from(JSON.stringify({ ...raw, author: 'me', config: { ...raw.config, OnBuild: ['RUN x'] } }));
    const config = descriptorOf(mediaTypes.config, bytes);
    const manifest = serializeManifest({ ...made.image.manifest, config });
    const root = descriptorOf(mediaTypes.manifest, manifest);
    await made.target.write(config, streamOf(bytes));
    await made.target.write(root, streamOf(manifest));

    const { target, image } = await written(await plan(registry, { content: made.target, root }));

    const after = JSON.parse((await readVerified(target, image.manifest.config)).toString());
    expect(after).toMatchObject({ author: 'me', config: { OnBuild: ['RUN x'] }, created: raw.created });
  });

  it('records the new base where Kiln and others record it', async () => {
    const { registry, old, fresh, said } = await bench();
    const element = (kind: string, text: string) => ({ kind, stage: 'main', steps: [text] });
    const layers = [
      element('base', 'FROM r.example/base:latest'),
      element('base', 'FROM r.example/base:latest'),
      element('copy', 'COPY app'),
    ];
    const other = { name: 'r.example/other:1', digest: old.root.digest };
    const image = await madeImage([base('1'), [file('etc/base')], own], {
      platform,
      annotations: {
        ...said,
        'kiln.layers': JSON.stringify(layers),
        'kiln.sources': JSON.stringify([{ name: 'r.example/base:latest', digest: old.root.digest }, other]),
        kept: 'yes',
      },
      config: { Labels: { [digestKey]: old.root.digest, own: 'x' } as never },
    });

    const { annotations, config } = (await written(await plan(registry, image))).image;

    expect(annotations).toMatchObject({
      [nameKey]: 'r.example/base:latest',
      [digestKey]: fresh.root.digest,
      kept: 'yes',
    });
    expect(JSON.parse(annotations['kiln.layers'] ?? '')).toEqual(layers);
    expect(JSON.parse(annotations['kiln.sources'] ?? '')).toEqual(
      expect.arrayContaining([other, { name: 'r.example/base:latest', digest: fresh.root.digest }]),
    );
    expect(config.config.Labels).toEqual({ [digestKey]: fresh.root.digest, own: 'x' });
  });

  it('reuses layers byte for byte, under the names that the image’s manifest has for them', async () => {
    const { registry, fresh, said } = await bench({ gzip: true });
    const image = await madeImage([base('1'), [file('etc/base')], own], { platform, annotations: said, gzip: true });
    const docker = {
      ...image.image.manifest,
      mediaType: mediaTypes.dockerManifest,
      layers: image.image.manifest.layers.map((layer) => ({ ...layer, mediaType: mediaTypes.dockerLayerGzip })),
    };
    const bytes = serializeManifest(docker);
    const root = descriptorOf(mediaTypes.dockerManifest, bytes);
    await image.target.write(root, streamOf(bytes));

    const made = await written(await plan(registry, { content: image.target, root }));

    expect(made.root.mediaType).toBe(mediaTypes.dockerManifest);
    expect(made.image.layers.map(({ descriptor }) => [descriptor.mediaType, descriptor.digest])).toEqual(
      [...fresh.image.layers, image.image.layers[2]].map((layer) => [
        mediaTypes.dockerLayerGzip,
        layer?.descriptor.digest,
      ]),
    );
  });

  it('makes nothing of an image that lies on its base as it is now', async () => {
    const { registry, fresh } = await bench();
    const image = await madeImage([base('2'), [file('etc/base')], own], {
      platform,
      annotations: { [nameKey]: 'r.example/base', [digestKey]: fresh.root.digest },
    });

    const planned = await plan(registry, image);

    expect(planned.images).toMatchObject([{ state: 'current', reasons: [] }]);
    expect(planned.result).toBeUndefined();
  });

  it('makes nothing of an image for which it is not safe', async () => {
    const { registry, said } = await bench();
    const image = await madeImage([base('1'), [file('etc/base')], [file('lib/z', 'own')]], {
      platform,
      annotations: said,
    });

    const planned = await plan(registry, image);

    expect(planned.images).toMatchObject([{ state: 'unsafe', reasons: [{ code: 'files', items: ['/lib/z'] }] }]);
    expect(planned.result).toBeUndefined();
  });

  it('wants to be told the base of an image that does not say it', async () => {
    const { registry, old, fresh, repository } = await bench();
    const image = await madeImage([base('1'), [file('etc/base')], own], { platform });
    const at = ({ root }: MadeImage, name: string) => ({ name, root, content: repository, isNear: false });

    await expect(plan(registry, image)).rejects.toMatchObject({ code: 'REBASE_BASE_UNKNOWN' });
    const said = { old: at(old, 'r.example/base:1'), fresh: at(fresh, 'r.example/base:2') };
    const { annotations } = (await written(await plan(registry, image, said))).image;
    expect(annotations).toEqual({ [nameKey]: 'r.example/base:2', [digestKey]: fresh.root.digest });
  });

  it('says when the old base is gone, and what then', async () => {
    const { registry } = await bench();
    const annotations = { [nameKey]: 'r.example/base', [digestKey]: `sha256:${'0'.repeat(64)}` };
    const image = await madeImage([own], { platform, annotations });

    await expect(plan(registry, image)).rejects.toMatchObject({
      code: 'REBASE_BASE_GONE',
      hint: expect.stringContaining('--old-base'),
    });
  });
});

describe('planRebase of an index', () => {
  const platforms = [platform, parsePlatform('linux/arm64')];

  async function index(target: Target, children: readonly Descriptor[], annotations?: Record<string, string>) {
    const bytes = serializeManifest({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: children,
      ...(annotations === undefined ? {} : { annotations }),
    });
    const root = descriptorOf(mediaTypes.index, bytes);
    await target.write(root, streamOf(bytes));
    await target.tag(root, root.digest);
    return root;
  }

  /** A base and an image on it, for two platforms; `own` of the second one. */
  async function several(second: readonly Entry[]) {
    const registry = memoryRegistry();
    const repository = registry.at('r.example/base');
    const baseIndex = async (version: string) => {
      const made = platforms.map((one) =>
        madeImage([base(`${version} ${one.architecture}`)], { platform: one, target: repository }),
      );
      const children = (await Promise.all(made)).map(({ root }, at) => ({
        ...root,
        platform: platforms[at] ?? platform,
      }));
      return index(repository, children);
    };
    const [old, fresh] = [await baseIndex('1'), await baseIndex('2')];
    await repository.tag(fresh, 'latest');
    const annotations = { [nameKey]: 'r.example/base', [digestKey]: old.digest };
    const target = memoryTarget();
    const children: Descriptor[] = [];
    for (const [at, one] of platforms.entries()) {
      const layers = [base(`1 ${one.architecture}`), at === 0 ? own : second];
      const { root } = await madeImage(layers, { platform: one, annotations, target });
      children.push({ ...root, platform: one });
    }
    const attestation = { ...children[0], platform: { os: 'unknown', architecture: 'unknown' } } as Descriptor;
    return { registry, fresh, target, root: await index(target, [...children, attestation], annotations) };
  }

  it('rebases all its images, and leaves attestations of the old ones out', async () => {
    const { registry, fresh, target, root } = await several(own);

    const planned = await plan(registry, { content: target, root });
    const made = await written(planned);

    const list = parseIndex(await readVerified(made.target, made.root));
    expect(planned.images.map(({ state }) => state)).toEqual(['safe', 'safe']);
    expect(planned.notes).toEqual([expect.stringContaining('attestations')]);
    expect(list.manifests.map((child) => child.platform)).toEqual(platforms);
    expect(list.annotations?.[digestKey]).toBe(fresh.digest);
    for (const one of platforms) {
      const { annotations } = await openImage(made.target, made.root, { platform: one });
      expect(annotations[digestKey]).toBe(fresh.digest);
    }
  });

  it('rebases none when one cannot be', async () => {
    const { registry, target, root } = await several([file('lib/z', 'own')]);

    const planned = await plan(registry, { content: target, root });

    expect(planned.images.map(({ state }) => state)).toEqual(['safe', 'unsafe']);
    expect(planned.result).toBeUndefined();
  });

  it('takes one platform out of it', async () => {
    const { registry, target, root } = await several([file('lib/z', 'own')]);

    const made = await written(await plan(registry, { content: target, root }, { platform }));

    expect(made.root.mediaType).toBe(mediaTypes.manifest);
  });
});
