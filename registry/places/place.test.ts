import { describe, expect, it } from 'vitest';
import { parsePlace, placeText } from './place.ts';

describe('parsePlace', () => {
  it.each([
    ['docker://web:1', { kind: 'registry' }],
    ['localhost:5000/web:1', { kind: 'registry' }],
    ['oci:dir', { kind: 'oci', path: 'dir' }],
    ['oci:/a/b:1.2', { kind: 'oci', path: '/a/b', name: '1.2' }],
    ['oci:dir:example.com:5000/web:1', { kind: 'oci', path: 'dir', name: 'example.com:5000/web:1' }],
    ['oci-archive:f.tar:web:1', { kind: 'oci-archive', path: 'f.tar', name: 'web:1' }],
    ['docker-archive:-', { kind: 'docker-archive', path: '-' }],
    ['kiln:web:1', { kind: 'store', name: 'web:1' }],
  ])('reads %s', (text, place) => {
    expect(parsePlace(text, 'registry')).toMatchObject(place);
  });

  it('takes a bare name for what the verb is about', () => {
    expect(parsePlace('oci', 'store')).toEqual({ kind: 'store', name: 'oci' });
    expect(parsePlace('web', 'registry')).toMatchObject({ kind: 'registry', reference: { repository: 'library/web' } });
  });

  it.each(['oci:', 'docker:web', 'docker-archive::web', 'kiln:', 'oci-archive:'])('refuses %s', (text) => {
    expect(() => parsePlace(text, 'store')).toThrow(expect.objectContaining({ code: 'PLACE_INVALID' }));
  });

  it.each(['oci:dir:1', 'oci-archive:f', 'docker-archive:f:web:1'])('writes %s as it was', (text) => {
    expect(placeText(parsePlace(text, 'store'))).toBe(text);
  });
});
