import { describe, expect, it } from 'vitest';
import { indexAnnotations, layersAnnotation, stepText } from './assemble.ts';
import type { BuildOptions } from './build-context.ts';

describe('stepText', () => {
  it.each([
    ['https://me:pass%40word@host/@scope/file', 'FETCH https://host/@scope/file /x'],
    ['https://me:p@ss@host/file?token=abc@d#x', 'FETCH https://host/file?… /x'],
    ['https://host?signature=a@b', 'FETCH https://host?… /x'],
  ])('keeps no secret of %s', (url, text) => {
    const position = { file: 'Buildfile', line: 1, column: 1 };

    const step = { verb: 'fetch', source: { kind: 'http', url }, to: '/x', unpack: false, position } as const;

    expect(stepText(step)).toBe(text);
  });
});

describe('indexAnnotations', () => {
  it('are those that all images have, but what is of one only', () => {
    const images = ['1', '2'].map((arch) => ({
      annotations: { same: 'x', arch, below: 'x', [layersAnnotation]: '[]' },
    }));
    const options = {
      manifestAnnotations: { below: 'x' },
      indexAnnotations: { above: 'x' },
    } as unknown as BuildOptions;

    expect(indexAnnotations(images, options)).toEqual({ same: 'x', above: 'x' });
  });
});
