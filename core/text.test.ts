import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAbort, sleep } from './cancellation.ts';
import { canonicalJson } from './canonical-json.ts';
import { errorCode, IntegrityError, ToolError, unreachable } from './errors.ts';
import { nearest } from './nearest.ts';

describe('canonicalJson', () => {
  it('does not depend on the order of keys, at any depth', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
  });

  it('says what JSON says', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('nearest', () => {
  it.each([
    ['wrokdir', 'workdir'],
    ['cpy', 'copy'],
    ['COPY', 'copy'],
    ['entirely-else', undefined],
    ['', undefined],
  ])('of %j is %j', (name, expected) => {
    expect(nearest(name, ['run', 'copy', 'workdir', 'env'])).toBe(expected);
  });

  it('finds a name itself, whatever else there is', () => {
    const name = fc.stringMatching(/^[a-z]{1,12}$/);
    fc.assert(fc.property(name, fc.array(name), (wanted, others) => nearest(wanted, [...others, wanted]) === wanted));
  });
});

describe('errors', () => {
  it('carry a code, a hint and a cause', () => {
    const cause = new Error('why');
    const error = new IntegrityError('BLOB_DIGEST_MISMATCH', 'the layer is damaged', { cause, hint: 'pull again' });

    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ name: 'IntegrityError', code: 'BLOB_DIGEST_MISMATCH', hint: 'pull again', cause });
    expect('cause' in new ToolError('X', 'y')).toBe(false);
  });

  it.each([
    [new ToolError('A_B', 'x'), 'A_B'],
    [Object.assign(new Error('x'), { code: 'ENOENT' }), 'ENOENT'],
    [{ code: 7 }, undefined],
    [undefined, undefined],
    ['ENOENT', undefined],
  ])('have a code where there is one: %o', (error, code) => {
    expect(errorCode(error)).toBe(code);
  });

  it('name the value that should not be possible', () => {
    expect(unreachable('odd' as never).message).toContain('"odd"');
  });
});

describe('sleep', () => {
  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    const sleeping = sleep(60_000, { signal: controller.signal });
    controller.abort(new Error('enough'));

    await expect(sleeping).rejects.toThrow('enough');
    await expect(sleep(0)).resolves.toBeUndefined();
    expect(isAbort(AbortSignal.abort().reason)).toBe(true);
    expect(isAbort(new Error('x'))).toBe(false);
  });
});
