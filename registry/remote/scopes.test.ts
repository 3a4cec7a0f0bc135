import { describe, expect, it } from 'vitest';
import { withWanted } from './scopes.ts';

describe('withWanted', () => {
  it.each([
    [['repository:web:pull'], 'repository:web:pull'],
    [['repository:web:pull,push'], 'repository:web:pull'],
    [['repository:web:pull,push'], 'repository:web:push,pull'],
    [['registry:catalog:*'], 'registry:catalog:*'],
    [['repository:web:pull'], ''],
    [['repository:web:pull'], 'nonsense repository::: repository:web:PULL'],
  ])('leaves %j as it is when the registry wants %j', (asked, wanted) => {
    expect(withWanted(asked, wanted)).toBe(asked);
  });

  it.each([
    [['repository:web:pull'], 'repository:web:pull,push', ['repository:web:pull,push']],
    [['repository:web:pull'], 'repository:proxy/web:pull', ['repository:web:pull', 'repository:proxy/web:pull']],
    [
      ['repository:web:pull,push', 'repository:base:pull'],
      'repository:web:delete repository:base:pull',
      ['repository:web:pull,push,delete', 'repository:base:pull'],
    ],
  ])('adds to %j what is missing of %j', (asked, wanted, scopes) => {
    expect(withWanted(asked, wanted)).toEqual(scopes);
  });

  it('takes in no endless list', () => {
    const wanted = Array.from({ length: 1000 }, (_, index) => `repository:r${index}:pull`).join(' ');

    expect(withWanted([], wanted).length).toBeLessThan(10);
  });
});
