import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Descriptor, describe as described, errorCode, mediaTypes, sha256, streamOf } from '../../core/index.ts';
import { memoryTarget } from '../memory.ts';
import { emptyBlob, openArtifact, packArtifact, unknownArtifactType } from './artifact.ts';
import { parseArtifactTitle } from './artifact-title.ts';

const title = 'org.opencontainers.image.title';

function layer(name: string | undefined, text = name ?? ''): Descriptor {
  const annotations = name === undefined ? {} : { annotations: { [title]: name } };
  return { ...described('text/plain', Buffer.from(text)), ...annotations };
}

describe('an artifact', () => {
  it('without files is the empty config and the empty layer', () => {
    const packed = packArtifact({ artifactType: 'application/x.sig', layers: [], annotations: { a: 'b' } });

    expect(emptyBlob.descriptor.digest).toBe('sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
    expect(JSON.parse(Buffer.from(packed.bytes).toString())).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: 'application/x.sig',
      config: emptyBlob.descriptor,
      layers: [emptyBlob.descriptor],
      annotations: { a: 'b' },
    });
  });

  it('of equal parts has an equal digest, however its annotations are ordered', () => {
    const layers = [layer('a'), layer('b')];
    const one = packArtifact({ layers, annotations: { x: '1', y: '2' } });
    const other = packArtifact({ layers, annotations: { y: '2', x: '1' } });

    expect(one.descriptor).toEqual(other.descriptor);
    expect(one.descriptor.artifactType).toBe(unknownArtifactType);
  });

  it('with a config of its own needs no type', () => {
    const config = described('application/x.config', Buffer.from('c'));

    expect(packArtifact({ layers: [layer('a')], config }).descriptor.artifactType).toBeUndefined();
  });

  it.each(['plain', 'a/b/c', '/x', 'a b/c', 'application/\u001b'])('is not of the type %j', (artifactType) => {
    expect(() => packArtifact({ artifactType, layers: [] })).toThrow(
      expect.objectContaining({ code: 'ARTIFACT_TYPE_INVALID' }),
    );
  });

  async function opened(layers: readonly Descriptor[]) {
    const content = memoryTarget();
    const packed = packArtifact({ layers });
    await content.write(packed.descriptor, streamOf(packed.bytes));
    return openArtifact(content, packed.descriptor);
  }

  it('is read back as its files; what has no name is told apart', async () => {
    const { files, unnamed } = await opened([layer('docs/a.txt'), layer(undefined, 'x'), layer('./b/')]);

    expect(files.map((file) => file.title)).toEqual(['docs/a.txt', 'b']);
    expect(unnamed.map(({ digest }) => digest)).toEqual([sha256('x')]);
    expect((await opened([])).files).toEqual([]);
  });

  it('with two files of one name is refused', async () => {
    await expect(opened([layer('a', '1'), layer('./a', '2')])).rejects.toMatchObject({ code: 'ARTIFACT_TITLE_UNSAFE' });
  });

  it.each([
    '../x',
    'a/../../x',
    '/etc/passwd',
    'a//b',
    '.',
    '..',
    'a/./b',
    'a\\b',
    'a\nb',
    'a\u0000b',
    'a\u202eb',
    'x'.repeat(256),
  ])('with the file %j is refused', async (name) => {
    await expect(opened([layer(name)])).rejects.toMatchObject({ code: 'ARTIFACT_TITLE_UNSAFE' });
  });

  it('has names only that stay below where they begin', () => {
    const parts = fc.constantFrom('..', '.', '/', 'a', '\\', '\u0000', '~', ' ', 'é', '...');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(parts, { maxLength: 12 }).map((list) => list.join('')),
        ),
        (text) => {
          try {
            const names = parseArtifactTitle(text).split('/');
            expect(names.every((name) => name !== '' && name !== '.' && name !== '..')).toBe(true);
          } catch (error) {
            if (errorCode(error) !== 'ARTIFACT_TITLE_UNSAFE') throw error;
          }
        },
      ),
    );
  });
});
