import type { Descriptor, Target } from '../../core/index.ts';
import { memoryTarget } from '../memory.ts';

/** A place in memory that tells what was written to it, in order. */
export interface Traced {
  readonly target: Target;
  readonly written: Descriptor[];
}

/** @param before runs before each write; when it throws, the write fails */
export function traced(before: (descriptor: Descriptor) => Promise<void> = async () => undefined): Traced {
  const inner = memoryTarget();
  const written: Descriptor[] = [];
  const target: Target = {
    has: (descriptor) => inner.has(descriptor),
    read: (descriptor) => inner.read(descriptor),
    resolve: (reference) => inner.resolve(reference),
    tag: (descriptor, reference) => inner.tag(descriptor, reference),
    async write(descriptor, content, options) {
      await before(descriptor);
      await inner.write(descriptor, content, options);
      written.push(descriptor);
    },
  };
  return { target, written };
}
