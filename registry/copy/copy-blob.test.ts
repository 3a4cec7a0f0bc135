import { describe, expect, it } from 'vitest';
import { type Descriptor, ToolError } from '../../core/index.ts';
import { sampleImage } from '../content-suite.ts';
import { memoryTarget } from '../memory.ts';
import { copyImage } from './copy-image.ts';
import { traced } from './traced-target.testing.ts';

describe('a blob on its way', () => {
  it('keeps to its concurrency', async () => {
    const image = await sampleImage(
      'one',
      Array.from({ length: 12 }, (_, index) => `layer ${index}`),
    );
    let [running, most] = [0, 0];
    const { target } = traced(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });

    await copyImage(image.content, target, image.root, { concurrency: 3 });

    expect(most).toBe(3);
  });

  it('tries again what failed in passing, and only that', async () => {
    const image = await sampleImage('one');
    const failures = [Object.assign(new Error('reset'), { code: 'REGISTRY_UNREACHABLE' })];
    const { target } = traced(async () => {
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
    });

    await copyImage(image.content, target, image.root);
    expect(await target.has(image.root)).toBe(true);

    failures.push(Object.assign(new Error('no'), { code: 'REGISTRY_DENIED' }));
    const other = await sampleImage('two');
    await expect(copyImage(other.content, target, other.root)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });

  it('asks each repository that may have a blob before it is sent', async () => {
    const image = await sampleImage('one', ['here', 'nowhere']);
    const asked: string[] = [];
    const inner = memoryTarget();
    const { target, written } = traced();
    const mounting = Object.assign(target, {
      async mount(descriptor: Descriptor, from: string) {
        asked.push(from);
        const isThere = from === 'second' && descriptor.digest === image.blobs[0]?.digest;
        if (isThere) await inner.write(descriptor, await image.content.read(descriptor));
        return isThere;
      },
    });

    await copyImage(image.content, mounting, image.root, { mountFrom: ['first', 'second'], concurrency: 1 });

    expect(asked).toEqual(['first', 'second', 'first', 'second', 'first', 'second']);
    expect(written.map(({ digest }) => digest)).not.toContain(image.blobs[0]?.digest);
    expect(written).toHaveLength(3);
  });

  it('sends a blob once when two copies to one place want it, and a failed one does not fail the other', async () => {
    const [one, two] = [await sampleImage('one', ['shared']), await sampleImage('two', ['shared'])];
    const gate = Promise.withResolvers<void>();
    const failures = [new Error('the first attempt fails')];
    const begun: Descriptor[] = [];
    const { target, written } = traced(async (descriptor) => {
      if (descriptor.digest !== one.blobs[0]?.digest) return;
      begun.push(descriptor);
      await gate.promise;
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
    });

    const copies = [one, two].map((image) => copyImage(image.content, target, image.root));
    while (begun.length === 0) await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    const [first, second] = await Promise.allSettled(copies);

    expect([first?.status, second?.status].sort()).toEqual(['fulfilled', 'rejected']);
    expect(written.filter(({ digest }) => digest === one.blobs[0]?.digest)).toHaveLength(1);
    expect(begun).toHaveLength(2);
  });

  it('says which blob failed, and between which places', async () => {
    const image = await sampleImage('one');
    const layer = image.blobs[0] as Descriptor;
    const { target } = traced(async (descriptor) => {
      if (descriptor.digest === layer.digest) throw new ToolError('REGISTRY_DENIED', 'no', { hint: 'ask' });
    });

    const copying = copyImage(image.content, Object.assign(target, { name: 'example.com/web' }), image.root);

    await expect(copying).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      message: `no (blob ${layer.digest} from memory to example.com/web)`,
      hint: 'ask',
    });
  });
});
