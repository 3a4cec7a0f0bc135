import { describe, expect, it } from 'vitest';
import { annotationsOf } from './annotation-flags.ts';

const context = { env: { FROM_HERE: 'here' } };
const annotations = (texts: readonly string[], platforms = 2) => annotationsOf(texts, context, { platforms });

describe('annotationsOf', () => {
  it('tells where an annotation goes', () => {
    expect(annotations(['a=1', 'manifest:b=2', 'index:c=3', 'index,manifest:d=4', 'FROM_HERE', 'e:f=5'])).toEqual({
      annotations: { a: '1', d: '4', FROM_HERE: 'here', 'e:f': '5' },
      manifestAnnotations: { b: '2' },
      indexAnnotations: { c: '3' },
    });
  });

  it('refuses what has no place', () => {
    const refused = expect.objectContaining({ code: 'USAGE_ANNOTATION' });

    expect(() => annotations(['index:a=1'], 1)).toThrow(refused);
    expect(() => annotations(['manifest-descriptor:a=1'])).toThrow(refused);
    expect(() => annotations(['kiln.layers=[]'])).toThrow(refused);
    expect(() => annotations(['org.opencontainers.image.base.name=x'])).toThrow(refused);
    expect(() => annotations(['=1'])).toThrow(expect.objectContaining({ code: 'USAGE_FLAG_VALUE' }));
  });
});
