import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainIdOf, chainIdsOf, digestHex, isDigest, parseDiffId, parseDigest, sha256, shortDigest } from './digest.ts';

const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('parseDigest', () => {
  it.each([empty, `sha512:${'0'.repeat(128)}`])('takes %s', (text) => {
    expect(parseDigest(text)).toBe(text);
  });

  it.each([
    '',
    'sha256:',
    empty.toUpperCase(),
    empty.slice(0, -1),
    `${empty}0`,
    `${empty}\n`,
    `md5:${'0'.repeat(32)}`,
    `sha256:../../${'0'.repeat(58)}`,
    undefined,
    null,
    7,
    [empty],
  ])('refuses %j', (text) => {
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }));
  });

  it('does not print more of a stranger’s text than needed', () => {
    expect(() => parseDigest('x'.repeat(100_000))).toThrow(/^.{0,300}$/);
  });

  it('never takes what could be a path', () => {
    fc.assert(fc.property(fc.string(), (text) => !isDigest(text) || /^sha(?:256|512):[0-9a-f]+$/.test(text)));
  });
});

describe('sha256', () => {
  it('is the digest of the bytes', () => {
    expect(sha256('')).toBe(empty);
    expect(sha256(new Uint8Array())).toBe(empty);
    expect(shortDigest(sha256(''))).toBe('e3b0c44298fc');
    expect(digestHex(sha256(''))).toBe(empty.slice(7));
  });
});

describe('chainIdOf', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => parseDiffId(sha256(text))) as [
    ReturnType<typeof parseDiffId>,
    ReturnType<typeof parseDiffId>,
    ReturnType<typeof parseDiffId>,
  ];

  it('is the DiffId of the only layer, and otherwise hashes the chain below with the layer', () => {
    expect(chainIdOf(undefined, a)).toBe(a);
    expect(chainIdOf(chainIdOf(undefined, a), b)).toBe(sha256(`${a} ${b}`));
  });

  it('names every prefix of a stack', () => {
    const two = sha256(`${a} ${b}`);

    expect(chainIdsOf([a, b, c])).toEqual([a, two, sha256(`${two} ${c}`)]);
    expect(chainIdsOf([])).toEqual([]);
  });
});
