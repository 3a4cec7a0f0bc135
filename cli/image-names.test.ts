import { describe, expect, it } from 'vitest';
import { type Descriptor, mediaTypes, NotFoundError, parseDigest } from '../core/index.ts';
import { findImage, type NamedContent, nameForImage, namesToRemove } from './image-names.ts';
import { registryName } from './registry-name.ts';

const first = descriptor('aa11');
const second = descriptor('aa22');
const unnamed = descriptor('bb');

const content: NamedContent = {
  list: async () => [
    { name: 'docker.io/library/site:latest', descriptor: first },
    { name: 'docker.io/library/site:1.0', descriptor: first },
    { name: 'localhost:5000/app:2', descriptor: second },
  ],
  resolve: async (text) => {
    const found = [first, second, unnamed].find(({ digest }) => digest === text);
    if (found === undefined) throw new NotFoundError('REFERENCE_NOT_FOUND', 'no');
    return found;
  },
};

describe('findImage', () => {
  it.each([
    { text: 'site', found: first, name: 'docker.io/library/site:latest' },
    { text: 'docker.io/library/site:1.0', found: first, name: 'docker.io/library/site:1.0' },
    { text: 'localhost:5000/app:2', found: second, name: 'localhost:5000/app:2' },
    { text: unnamed.digest, found: unnamed, name: undefined },
    { text: `anything@${second.digest}`, found: second, name: undefined },
    { text: 'aa22', found: second, name: undefined },
    { text: second.digest.slice('sha256:'.length), found: second, name: undefined },
  ])('finds $text', async ({ text, found, name }) => {
    expect(await findImage(content, text)).toEqual({ descriptor: found, name });
  });

  it.each([
    { text: 'stie', code: 'IMAGE_NOT_FOUND' },
    { text: descriptor('cc').digest, code: 'IMAGE_NOT_FOUND' },
    { text: 'dead', code: 'IMAGE_NOT_FOUND' },
    { text: 'aa', code: 'IMAGE_NOT_FOUND' },
    { text: 'UPPER', code: 'REFERENCE_INVALID' },
  ])('does not find $text', async ({ text, code }) => {
    await expect(findImage(content, text)).rejects.toMatchObject({ code });
  });

  it('refuses the beginning of two digests', async () => {
    const twins = {
      ...content,
      list: async () => [
        { name: 'x', descriptor: descriptor('abcd1') },
        { name: 'y', descriptor: descriptor('abcd2') },
      ],
    };

    await expect(findImage(twins, 'abcd')).rejects.toMatchObject({ code: 'IMAGE_AMBIGUOUS' });
  });
});

describe('namesToRemove', () => {
  it('takes names as they are, and once', async () => {
    const names = await namesToRemove(content, ['site', 'site:latest', 'localhost:5000/app:2'], { force: false });

    expect(names.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual(['library/site:latest', 'app:2']);
  });

  it('takes a digest for its only name, and for several only by force', async () => {
    expect(await namesToRemove(content, ['aa22'], { force: false })).toHaveLength(1);
    await expect(namesToRemove(content, ['aa11'], { force: false })).rejects.toMatchObject({ code: 'IMAGE_AMBIGUOUS' });
    expect(await namesToRemove(content, ['aa11'], { force: true })).toHaveLength(2);
  });

  it('passes over what is not there only by force', async () => {
    await expect(namesToRemove(content, ['nowhere'], { force: false })).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
    });
    expect(await namesToRemove(content, ['nowhere'], { force: true })).toEqual([]);
  });
});

describe('nameForImage', () => {
  it('adds the tag latest, and refuses digests', () => {
    expect(nameForImage('site')).toEqual({ registry: 'docker.io', repository: 'library/site', tag: 'latest' });
    expect(() => nameForImage(`site@${first.digest}`)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });
});

describe('registryName', () => {
  it.each([
    [undefined, 'docker.io'],
    ['docker.io', 'docker.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['localhost:5000', 'localhost:5000'],
    ['https://registry.example/', 'registry.example'],
    ['http://registry.example:80/v2/', 'registry.example:80'],
  ])('reads %s as %s', (text, registry) => {
    expect(registryName(text)).toBe(registry);
  });

  it.each(['', 'me/site', 'registry.example/me', 'just-a-word', 'a b', 'registry.example:port'])(
    'refuses %j',
    (text) => {
      expect(() => registryName(text)).toThrow(expect.objectContaining({ code: 'USAGE_REGISTRY' }));
    },
  );
});

function descriptor(start: string): Descriptor {
  return { mediaType: mediaTypes.manifest, digest: parseDigest(`sha256:${start.padEnd(64, '0')}`), size: 1 };
}
