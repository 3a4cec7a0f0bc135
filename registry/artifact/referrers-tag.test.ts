import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  mediaTypes,
  parseDigest,
  readVerified,
  sha256,
  streamOf,
  type Target,
} from '../../core/index.ts';
import { blobOf, json } from '../content-suite.ts';
import { memoryTarget } from '../memory.ts';
import { addListedReferrer, listedReferrers, referrersTag, removeListedReferrer } from './referrers-tag.ts';

const subject = sha256('the image');

function referrer(mark: string): Descriptor {
  return { mediaType: mediaTypes.manifest, digest: sha256(mark), size: mark.length, artifactType: `a/${mark}` };
}

async function put(place: Target, text: string): Promise<void> {
  const { descriptor, bytes } = blobOf(text, mediaTypes.index);
  await place.write(descriptor, streamOf(bytes));
  await place.tag(descriptor, referrersTag(subject));
}

describe('the tag that lists what refers to a manifest', () => {
  it('is named after the digest, and fits', () => {
    expect(referrersTag(subject)).toBe(`sha256-${subject.slice('sha256:'.length)}`);
    expect(referrersTag(parseDigest(`sha512:${'a1'.repeat(64)}`))).toBe(`sha512-${'a1'.repeat(32)}`);
  });

  it('lists nothing before it is there', async () => {
    expect(await listedReferrers(memoryTarget(), subject)).toEqual([]);
  });

  it('gets each referrer once, in order, and lets go of one', async () => {
    const place = memoryTarget();
    for (const mark of ['one', 'two', 'one']) await addListedReferrer(place, subject, referrer(mark));

    expect(await listedReferrers(place, subject)).toEqual([referrer('one'), referrer('two')]);

    await removeListedReferrer(place, subject, referrer('one').digest);
    await removeListedReferrer(place, subject, sha256('never there'));

    expect(await listedReferrers(place, subject)).toEqual([referrer('two')]);
  });

  it('keeps what others wrote into it', async () => {
    const place = memoryTarget();
    const foreign = { ...referrer('foreign'), annotations: { by: 'somebody else' } };
    await put(
      place,
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [foreign], annotations: { a: 'b' } }),
    );

    await addListedReferrer(place, subject, referrer('ours'));

    expect(await listedReferrers(place, subject)).toEqual([foreign, referrer('ours')]);
    const list = await readVerified(place, await place.resolve(referrersTag(subject)));
    expect(JSON.parse(list.toString())).toMatchObject({ annotations: { a: 'b' } });
  });

  it('is written again by whoever was overtaken', async () => {
    const inner = memoryTarget();
    let overtaken = 0;
    const place: Target = {
      has: (descriptor) => inner.has(descriptor),
      read: (descriptor) => inner.read(descriptor),
      resolve: (reference) => inner.resolve(reference),
      write: (descriptor, content) => inner.write(descriptor, content),
      async tag(descriptor, reference) {
        await inner.tag(descriptor, reference);
        if (overtaken++ >= 2) return;
        // Another writer who read the list before, and wrote it after.
        const late = json({
          schemaVersion: 2,
          mediaType: mediaTypes.index,
          manifests: [referrer(`late ${overtaken}`)],
        });
        await put(inner, late.toString());
      },
    };

    await addListedReferrer(place, subject, referrer('ours'));

    expect(await listedReferrers(place, subject)).toEqual([referrer('late 2'), referrer('ours')]);
  });

  it('loses nothing to many who write at once', async () => {
    const place = memoryTarget();
    const marks = Array.from({ length: 6 }, (_, at) => `writer ${at}`);

    await Promise.all(marks.map((mark) => addListedReferrer(place, subject, referrer(mark))));

    const listed = await listedReferrers(place, subject);
    expect(new Set(listed.map(({ digest }) => digest))).toEqual(new Set(marks.map((mark) => sha256(mark))));
  });

  it('is left alone when it is somebody’s image', async () => {
    const place = memoryTarget();
    const { descriptor, bytes } = blobOf('{"schemaVersion":2}', mediaTypes.manifest);
    await place.write(descriptor, streamOf(bytes));
    await place.tag(descriptor, referrersTag(subject));

    await expect(addListedReferrer(place, subject, referrer('ours'))).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
    });
  });
});
