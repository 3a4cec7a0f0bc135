import { afterEach, describe, expect, it, vi } from 'vitest';
import { findProgram, hasSubordinateIds, isRoot, mustSkip, requirement } from './requirements.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('requirement', () => {
  it('agrees with the system about being root', () => {
    expect(requirement('root') === undefined).toBe(isRoot());
  });

  it('finds a program on PATH, and says nothing about one that is nowhere', () => {
    expect(findProgram('sh')).toMatch(/\/sh$/);
    expect(findProgram('no-program-has-this-name')).toBeUndefined();
  });

  it('knows no subordinate ids of a user who has none', () => {
    expect(hasSubordinateIds('nobody-of-this-name', 4_000_000_000)).toBe(false);
  });
});

describe('mustSkip', () => {
  it('runs the test when nothing is missing', () => {
    vi.stubEnv('CI', '1');

    expect(mustSkip([])).toBe(false);
  });

  it('skips when something is missing', () => {
    vi.stubEnv('CI', '');

    expect(mustSkip(['a moon is not installed'])).toBe(true);
  });

  it('fails instead of skipping when CI is set', () => {
    vi.stubEnv('CI', 'true');

    expect(() => mustSkip(['a moon is not installed'])).toThrow('CI must run every test, but a moon is not installed');
  });
});
