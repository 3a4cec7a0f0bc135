import { describe, expect, it } from 'vitest';
import type { WhenContent } from '../buildfile/when-schema.ts';
import { holds, whyNot } from './conditions.ts';

const scope = {
  names: new Set(['ARCH', 'EMPTY', 'UNSET', 'BROKEN']),
  values: new Map([
    ['ARCH', 'arm64'],
    ['EMPTY', ''],
  ]),
  broken: new Set(['BROKEN']),
  allowed: new Map<string, readonly string[]>(),
};

describe('a condition', () => {
  it.each<[WhenContent, boolean]>([
    [{}, true],
    [{ ARCH: 'arm64' }, true],
    [{ ARCH: 'amd64' }, false],
    [{ ARCH: ['amd64', 'arm64'] }, true],
    [{ ARCH: ['amd64'] }, false],
    [{ ARCH: { not: 'arm64' } }, false],
    [{ ARCH: { not: ['amd64', 'riscv64'] } }, true],
    [{ ARCH: { not: ['amd64', 'arm64'] } }, false],
    [{ ARCH: 'arm64', EMPTY: '' }, true],
    [{ ARCH: 'arm64', EMPTY: { not: '' } }, false],
    [{ UNSET: '' }, true],
    [{ UNSET: { not: '' } }, false],
    [{ BROKEN: 'x', UNKNOWN: 'x' }, true],
  ])('%j holds: %j', (when, expected) => {
    expect(holds(when, scope)).toBe(expected);
    expect(whyNot(when, scope) === undefined).toBe(expected);
  });

  it('says which of its names is not as it should be', () => {
    expect(whyNot({ EMPTY: '', ARCH: ['amd64', '386'] }, scope)).toBe(
      'only when ARCH is `amd64` or `386`, and it is `arm64`',
    );
    expect(whyNot({ UNSET: { not: ['', 'no'] } }, scope)).toBe('only when UNSET is not `` and not `no`, and it is ``');
  });
});
