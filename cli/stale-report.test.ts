import { describe, expect, it } from 'vitest';
import { sha256 } from '../core/index.ts';
import type { Staleness } from '../rebuild/index.ts';
import { exitCodes } from './exit-codes.ts';
import { staleExitCode, staleText } from './stale-report.ts';

const base = 'docker.io/library/debian:12';
const current: Staleness = { image: 'a', base, state: 'current', baseDigest: sha256('1'), by: 'digest' };
const moved: Staleness = { image: 'long/name:1', base, state: 'stale', from: sha256('1'), to: sha256('2') };
const unchecked: Staleness = {
  image: 'b',
  state: 'unchecked',
  why: 'its base bootstrap:debian/bookworm is in no registry',
};
const unknown = (code: string): Staleness => ({
  image: 'c',
  state: 'unknown',
  trouble: { code, message: 'why', hint: 'then' },
});

describe('staleText', () => {
  it('has a line for each image, and below it what belongs to it', () => {
    const packages = [{ kind: 'deb', name: 'zlib', from: '1', to: '2' }] as const;
    const lines = staleText([current, { ...moved, packages }, unchecked, unknown('X')], { quiet: false }).split('\n');

    expect(lines).toEqual([
      expect.stringMatching(/^a {13}current {5}debian:12 sha256:[0-9a-f]{12}…$/),
      expect.stringMatching(/^long\/name:1 {3}stale {7}debian:12 sha256:[0-9a-f]{12}… → sha256:[0-9a-f]{12}…$/),
      '  packages: 1 changed',
      '    zlib   1 → 2',
      'b             unchecked   its base bootstrap:debian/bookworm is in no registry',
      'c             unknown     why',
      '  hint: then',
    ]);
  });

  it('has only the names of stale images when that is asked for', () => {
    expect(staleText([current, moved, unknown('X')], { quiet: true })).toBe('long/name:1');
  });
});

describe('staleExitCode', () => {
  it.each([
    { results: [current, unchecked], code: exitCodes.ok },
    { results: [current, moved], code: exitCodes.updateAvailable },
    { results: [moved, unknown('REGISTRY_UNREACHABLE')], code: exitCodes.registry },
    { results: [moved, unknown('STALE_BASE_UNKNOWN')], code: exitCodes.usage },
    { results: [moved, unknown('IMAGE_NOT_FOUND')], code: exitCodes.notFound },
    { results: [unknown('IMAGE_NOT_FOUND'), unknown('REGISTRY_UNREACHABLE')], code: exitCodes.registry },
  ])('gives $code for $results.length answers', ({ results, code }) => {
    expect(staleExitCode(results)).toBe(code);
  });
});
