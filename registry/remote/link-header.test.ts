import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextLink } from './link-header.ts';

describe('a Link header', () => {
  it.each([
    ['</v2/a/tags/list?n=1&last=x>; rel="next"', '/v2/a/tags/list?n=1&last=x'],
    ['<https://h/x?y=z>; rel=next', 'https://h/x?y=z'],
    ['</first>; rel="first", </second>; title="a, b; c"; rel="prev next"', '/second'],
    ['</a>;REL="NEXT"', '/a'],
    [' </a> ; rel = "next" ', '/a'],
    ['</a>; rel="first"; rel="next"', undefined],
    ['</a>', undefined],
    ['</a>; rel="prev"', undefined],
    ['no link', undefined],
    ['</a; rel="next"', undefined],
    ['', undefined],
  ])('%s leads to %j', (header, target) => {
    expect(nextLink(header)).toBe(target);
  });

  it('is read in linear time, whatever it says', () => {
    const pieces = fc.constantFrom('<', '>', ';', ',', 'rel', '=', '"', '\\', 'next', ' ', '/a', 'title*=', '\t');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 400 }), (parts) => {
        const found = nextLink(parts.join(''));
        expect(found === undefined || !/[<>]/.test(found)).toBe(true);
      }),
    );
    for (const part of ['<a>,', '<a>;a', '<a>; rel="', '\\"', ' ', ';', '<']) {
      nextLink(`<a>; title="${part.repeat(100_000)}`);
      nextLink(part.repeat(100_000));
    }
  });
});
