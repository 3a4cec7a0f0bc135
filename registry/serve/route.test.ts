import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { RequestError } from './request-error.ts';
import { parseTarget } from './route.ts';

const digest = sha256('x');
const id = '0b8f0c5e-6a9f-4b0e-9a37-1f2a3b4c5d6e';

describe('parseTarget', () => {
  it.each([
    ['/v2/', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    [`/v2/a/blobs/${digest}`, { kind: 'blob', repository: 'a', digest }],
    [`/v2/a/blobs/${encodeURIComponent(digest)}`, { kind: 'blob', repository: 'a', digest }],
    ['/v2/a/b-c/d_e/manifests/v1.0', { kind: 'manifest', repository: 'a/b-c/d_e', reference: 'v1.0' }],
    [`/v2/a/manifests/${digest}`, { kind: 'manifest', repository: 'a', reference: digest }],
    ['/v2/a/tags/list', { kind: 'tags', repository: 'a' }],
    [`/v2/a/referrers/${digest}`, { kind: 'referrers', repository: 'a', digest }],
    [`/v2/a/blobs/uploads/${id}`, { kind: 'upload', repository: 'a', id }],
    // Names may hold the words of the addresses.
    [
      '/v2/blobs/manifests/tags/manifests/latest',
      { kind: 'manifest', repository: 'blobs/manifests/tags', reference: 'latest' },
    ],
    [`/v2/a/blobs/uploads/blobs/${digest}`, { kind: 'blob', repository: 'a/blobs/uploads', digest }],
  ])('reads %s', (target, route) => {
    expect(parseTarget('GET', target).route).toEqual(route);
  });

  it.each(['/v2/a/blobs/uploads/', '/v2/a/blobs/uploads'])('reads POST %s', (target) => {
    expect(parseTarget('POST', target).route).toEqual({ kind: 'uploads', repository: 'a' });
  });

  it('keeps the query', () => {
    const { query } = parseTarget('GET', `/v2/a/tags/list?n=5&last=a%2Bb`);

    expect([query.get('n'), query.get('last')]).toEqual(['5', 'a+b']);
  });

  it.each([
    ['/v2/../a/tags/list', 400],
    ['/v2/a//b/tags/list', 400],
    ['/v2/a%00/tags/list', 400],
    ['/v2/A/tags/list', 400],
    ['/v2/a/blobs/sha256:../../etc/passwd', 404],
    ['/v2/a/blobs/sha256:%2e%2e', 400],
    ['/v2/a/manifests/sha1:abc', 400],
    [`/v2/a/manifests/${'t'.repeat(129)}`, 404],
    ['/v2/a/blobs/uploads/../x', 404],
    ['/v2/a/tags', 404],
    ['//v2/', 404],
    ['http://other.example/v2/', 404],
    ['*', 404],
    [`/v2/${'a/'.repeat(5000)}a/tags/list`, 414],
  ])('refuses %s with %i', (target, status) => {
    expect(() => parseTarget('GET', target)).toThrow(expect.objectContaining({ status }));
  });

  it('takes nothing for a name, tag or digest that could leave a folder', () => {
    const pieces = fc.constantFrom(
      'v2',
      'a',
      '..',
      '.',
      '',
      'blobs',
      'manifests',
      'uploads',
      'tags',
      'list',
      '%2f',
      '%2e%2e',
      digest,
      id,
      '\\',
      '%00',
      'referrers',
    );
    const targets = fc.oneof(
      fc.array(pieces, { maxLength: 8 }).map((parts) => `/v2/${parts.join('/')}`),
      fc.webPath(),
      fc.string().map((text) => `/v2/${text}`),
    );
    fc.assert(
      fc.property(fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'), targets, (method, target) => {
        try {
          const { route } = parseTarget(method, target);
          for (const value of Object.values(route)) {
            expect(value).not.toMatch(/(^|\/)\.{1,2}(\/|$)|^\/|\/\/|[\\\0%]/);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(RequestError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
