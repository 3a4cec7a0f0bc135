import { describe, expect, it } from 'vitest';
import * as format from './mount-formats.ts';

describe('formats of mounts', () => {
  it.each<[string, (text: string) => string | undefined, readonly string[], readonly string[]]>([
    ['places', format.checkMountPath, ['/tmp', 'relative', '.', '/a/../b'], ['', '/', '//', '/a/..', '/.']],
    ['sources', format.checkSourcePath, ['.', '/', 'a/b', 'a/../b'], ['', '..', 'a/../../b', '/..']],
    [
      'caches',
      format.checkCacheId,
      ['npm', '/root/.npm', 'go:1.2@x+y', '.npm'],
      ['', 'a b', '-x', 'a\n', 'ü', 'x'.repeat(256)],
    ],
    [
      'secrets',
      format.checkSecretId,
      ['npmrc', 'a.b-c', '_1'],
      ['', '.', '..', 'a/b', 'a,b', 'a=b', '-x', 'x'.repeat(129)],
    ],
    [
      'sizes',
      format.checkSize,
      ['1', '64m', '1.5g', '512KiB', '10MB', '2t', '7b'],
      ['', '0', '-1', 'm', '1x', '1 g', '0m', '9'.repeat(20)],
    ],
  ])('of %s', (_title, check, good, bad) => {
    expect(good.filter((text) => check(text) !== undefined)).toEqual([]);
    expect(bad.filter((text) => check(text) === undefined)).toEqual([]);
  });

  it('reads sizes in powers of 1024', () => {
    expect(['1', '1k', '1.5m', '1g'].map(format.findSizeBytes)).toEqual([1, 1024, 1_572_864, 1_073_741_824]);
  });
});
