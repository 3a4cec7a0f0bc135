import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defaultMountPoints, makeSkeleton, skeletonPaths } from './skeleton.ts';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'skeleton-test-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

it('holds the mount points and their parents, readable and without a time of its own', async () => {
  const skeleton = await makeSkeleton(scratch, [...defaultMountPoints, { destination: '/etc/hosts', isFolder: false }]);

  expect(readdirSync(skeleton, { recursive: true }).sort()).toEqual(['dev', 'etc', 'etc/hosts', 'proc', 'sys']);
  expect(statSync(path.join(skeleton, 'etc')).mode & 0o7777).toBe(0o755);
  expect(statSync(path.join(skeleton, 'etc/hosts')).mode & 0o7777).toBe(0o644);
  expect(statSync(path.join(skeleton, 'etc')).mtimeMs).toBe(1000);
});

it('is made once for equal mount points, also when asked for side by side', async () => {
  const made = await Promise.all([1, 2, 3].map(() => makeSkeleton(scratch, defaultMountPoints)));

  expect(new Set(made).size).toBe(1);
  expect(readdirSync(scratch)).toHaveLength(1);
});

it('takes no path that leaves the root, and names parents first', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b', 'c d', '...');
  const destination = fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.join('/')}`);
  const mountPoint = fc.record({ destination, isFolder: fc.boolean() });

  fc.assert(
    fc.property(fc.array(mountPoint), (mountPoints) => {
      const seen = new Set(['.']);
      for (const [relative] of skeletonPaths(mountPoints)) {
        expect(relative.split('/').some((name) => ['..', '.', ''].includes(name))).toBe(false);
        expect(seen).toContain(path.dirname(relative));
        seen.add(relative);
      }
    }),
  );
});

it('makes a folder of what is mounted on and mounted in', () => {
  const paths = skeletonPaths([
    { destination: '/a/b', isFolder: false },
    { destination: '/a', isFolder: false },
  ]);

  expect([...paths]).toEqual([
    ['a', true],
    ['a/b', false],
  ]);
});
