import { describe, expect, it } from 'vitest';
import { parseAnnotationFile } from './annotation-file.ts';
import { parseFileWord } from './artifact-files.ts';

describe('a FILE on the command line', () => {
  it.each([
    ['a.txt', 'a.txt', undefined],
    ['docs/a.txt:text/plain', 'docs/a.txt', 'text/plain'],
    ['a:b', 'a:b', undefined],
    ['a:b:text/plain', 'a:b', 'text/plain'],
    ['-:text/plain', '-', 'text/plain'],
    ['dir:x/y/z', 'dir:x/y/z', undefined],
  ])('%s is %j of type %j', (text, file, mediaType) => {
    expect(parseFileWord(text)).toEqual({ file, mediaType });
  });

  it('has a type that can be one', () => {
    expect(() => parseFileWord('a:te xt/plain')).toThrow(expect.objectContaining({ code: 'ARTIFACT_TYPE_INVALID' }));
  });
});

describe('a file of annotations', () => {
  it('has those of the manifest, of the config and of files', () => {
    const read = parseAnnotationFile('{"$manifest":{"a":"1"},"$config":{"b":"2"},"x.txt":{"c":"3"}}', 'f');

    expect(read.manifest).toEqual({ a: '1' });
    expect(read.config).toEqual({ b: '2' });
    expect([...read.files]).toEqual([['x.txt', { c: '3' }]]);
  });

  it.each(['', '[]', 'null', '{"a":"b"}', '{"a":{"b":1}}'])('is refused with %j in it', (text) => {
    expect(() => parseAnnotationFile(text, 'f')).toThrow(expect.objectContaining({ code: 'USAGE_ANNOTATION' }));
  });
});
