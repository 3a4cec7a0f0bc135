import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layerCompression, mediaTypes, parseDescriptor } from './descriptor.ts';
import { sha256 } from './digest.ts';
import { ToolError } from './errors.ts';
import { parseImageConfig, serializeImageConfig } from './image-config.ts';
import { childrenOf, maxManifestBytes, parseIndex, parseManifest, serializeManifest } from './manifest.ts';

const config = { mediaType: mediaTypes.config, digest: sha256('config'), size: 6 };
const layer = { mediaType: mediaTypes.layerGzip, digest: sha256('layer'), size: 5 };

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

describe('parseManifest', () => {
  it('reads what it needs and nothing else', () => {
    const bytes = bytesOf({ schemaVersion: 2, config, layers: [{ ...layer, extra: 1 }], surprise: true });

    expect(parseManifest(bytes)).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config,
      layers: [layer],
    });
  });

  it.each([
    ['text', 'MANIFEST_INVALID'],
    [null, 'DESCRIPTOR_INVALID'],
    [[], 'DESCRIPTOR_INVALID'],
    [{ schemaVersion: 1, fsLayers: [] }, 'MANIFEST_SCHEMA1'],
    [{ schemaVersion: 2, layers: [] }, 'DESCRIPTOR_INVALID'],
    [{ schemaVersion: 2, config }, 'MANIFEST_INVALID'],
    [{ schemaVersion: 2, config, layers: [], manifests: [] }, 'MANIFEST_INVALID'],
    [{ schemaVersion: 2, mediaType: mediaTypes.index, config, layers: [] }, 'MANIFEST_INVALID'],
    [{ schemaVersion: 2, config, layers: [{ ...layer, size: -1 }] }, 'DESCRIPTOR_INVALID'],
    [{ schemaVersion: 2, config, layers: [{ ...layer, size: 1.5 }] }, 'DESCRIPTOR_INVALID'],
    [{ schemaVersion: 2, config, layers: [{ ...layer, size: 2 ** 60 }] }, 'DESCRIPTOR_INVALID'],
    [{ schemaVersion: 2, config, layers: [{ ...layer, digest: '../../x' }] }, 'DIGEST_INVALID'],
    [{ schemaVersion: 2, config, layers: [{ ...layer, annotations: { a: 1 } }] }, 'DESCRIPTOR_INVALID'],
  ])('refuses %j', (document, code) => {
    const bytes = document === 'text' ? Buffer.from('not json') : bytesOf(document);

    expect(() => parseManifest(bytes)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses bytes that are not UTF-8, and documents over the limit', () => {
    expect(() => parseManifest(Buffer.from([0xff, 0xfe]))).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID' }),
    );
    const huge = Buffer.alloc(maxManifestBytes + 1, ' ');
    expect(() => parseManifest(huge)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });
});

describe('childrenOf', () => {
  it('names the layers and the config of a manifest, the manifests of an index, and nothing of a blob', () => {
    const manifest = { ...config, mediaType: mediaTypes.manifest };

    expect(childrenOf(mediaTypes.manifest, bytesOf({ schemaVersion: 2, config, layers: [layer] }))).toEqual([
      layer,
      config,
    ]);
    expect(childrenOf(mediaTypes.index, bytesOf({ schemaVersion: 2, manifests: [manifest] }))).toEqual([manifest]);
    expect(childrenOf(mediaTypes.layer, Buffer.from('anything'))).toEqual([]);
  });
});

describe('parsers of hostile documents', () => {
  const scalar = fc.oneof(
    fc.constantFrom(...Object.values(mediaTypes), config.digest, 'linux', 'amd64', 2, 1, -1, 0, null),
    fc.jsonValue({ maxDepth: 1 }),
  );
  const keys = [
    'schemaVersion',
    'mediaType',
    'config',
    'layers',
    'manifests',
    'digest',
    'size',
    'annotations',
    'platform',
  ];
  const more = ['os', 'architecture', 'rootfs', 'diff_ids', 'history', 'Env', 'Labels', '__proto__', 'constructor'];
  const { document } = fc.letrec((tie) => ({
    document: fc.oneof(
      { maxDepth: 4 },
      scalar,
      fc.array(tie('document'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys, ...more), tie('document'), { maxKeys: 8 }),
    ),
  }));

  it.each([
    ['parseManifest', parseManifest],
    ['parseIndex', parseIndex],
    ['parseImageConfig', parseImageConfig],
    ['parseDescriptor', (bytes: Uint8Array) => parseDescriptor(JSON.parse(Buffer.from(bytes).toString()))],
  ])('%s gives a result or a ToolError, whatever it is given', (_name, parse: (bytes: Uint8Array) => unknown) => {
    fc.assert(
      fc.property(document, (value) => {
        try {
          parse(bytesOf({ schemaVersion: 2, ...(typeof value === 'object' ? value : {}) }));
        } catch (error) {
          expect(error).toBeInstanceOf(ToolError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('serializeImageConfig', () => {
  it('gives the same bytes for equal configs, and is read back', () => {
    const image = parseImageConfig(
      bytesOf({
        architecture: 'arm64',
        variant: 'v8',
        os: 'linux',
        created: '1970-01-01T00:00:01Z',
        config: {
          Env: ['B=2', 'A=1'],
          Labels: { b: '2', a: '1' },
          Cmd: null,
          User: '',
          ExposedPorts: { '80/tcp': {} },
        },
        rootfs: { type: 'layers', diff_ids: [layer.digest] },
        history: [{ created_by: 'run', empty_layer: true, author: 'x' }],
      }),
    );
    const shuffled = { ...image, config: { Labels: { a: '1', b: '2' }, ...image.config } };

    expect(image.config).not.toHaveProperty('Cmd');
    expect(Buffer.from(serializeImageConfig(shuffled)).equals(serializeImageConfig(image))).toBe(true);
    expect(parseImageConfig(serializeImageConfig(image))).toEqual(image);
  });
});

describe('layerCompression', () => {
  it.each([
    [mediaTypes.layer, 'none'],
    [mediaTypes.dockerLayerGzip, 'gzip'],
    [mediaTypes.layerZstd, 'zstd'],
    [mediaTypes.config, undefined],
    ['constructor', undefined],
  ])('of %s is %s', (mediaType, compression) => {
    expect(layerCompression(mediaType)).toBe(compression);
  });
});

describe('serializeManifest', () => {
  it('gives what was parsed and what was made the same bytes', () => {
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config,
      layers: [],
      annotations: { b: '2', a: '1' },
    } as const;
    const bytes = serializeManifest(manifest);

    expect(serializeManifest(parseManifest(bytes))).toEqual(bytes);
    expect(Buffer.from(bytes).toString()).toMatch(
      /^\{"schemaVersion":2,"mediaType":.*"annotations":\{"a":"1","b":"2"\}\}$/,
    );
  });
});
