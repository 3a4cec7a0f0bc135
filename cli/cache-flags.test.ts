import { describe, expect, it } from 'vitest';
import { cacheFromOf, cacheToOf } from './cache-flags.ts';

const context = { folder: '/work' };

describe('cacheFromOf', () => {
  it.each([
    ['host:5000/cache:1', { kind: 'registry', reference: { registry: 'host:5000', repository: 'cache', tag: '1' } }],
    ['type=registry,ref=a/b', { kind: 'registry', reference: { registry: 'docker.io', repository: 'a/b' } }],
    ['type=local,src=cache', { kind: 'local', folder: '/work/cache' }],
  ])('takes %s', (text, place) => {
    expect(cacheFromOf([text], context)).toEqual([place]);
  });
});

describe('cacheToOf', () => {
  const usual = { mode: 'min', compression: 'gzip', ignoreError: false };

  it.each([
    [
      'host:5000/cache:1',
      { ...usual, place: { kind: 'registry', reference: { registry: 'host:5000', repository: 'cache', tag: '1' } } },
    ],
    ['type=local,dest=cache,mode=max', { ...usual, mode: 'max', place: { kind: 'local', folder: '/work/cache' } }],
    [
      'type=local,dest=/c,compression=uncompressed,ignore-error=true',
      { mode: 'min', compression: 'uncompressed', ignoreError: true, place: { kind: 'local', folder: '/c' } },
    ],
  ])('takes %s', (text, destination) => {
    expect(cacheToOf([text], context)).toEqual([destination]);
  });

  it.each([
    ['type=gha', 'there is no type gha'],
    ['type=lokal,dest=x', 'there is no type lokal'],
    ['ref=x', 'it has no type'],
    ['type=registry', 'it has no ref'],
    ['type=local', 'it has no dest'],
    ['type=local,dest=x,mode=all', 'there is no mode all'],
    ['type=local,dest=x,compression=zstd', 'there is no compression zstd'],
    ['type=local,dest=x,ignore-error=perhaps', 'neither true nor false'],
    ['type=local,src=x', 'src is unknown'],
  ])('refuses %s', (text, problem) => {
    expect(() => cacheToOf([text], context)).toThrow(
      expect.objectContaining({ code: 'USAGE_CACHE', message: expect.stringContaining(problem) }),
    );
  });
});
