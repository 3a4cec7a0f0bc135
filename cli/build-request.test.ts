import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextsOf, parseEpoch } from './build-request.ts';
import type { Context } from './context.ts';

describe('contextsOf', () => {
  let folder = '';

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'kiln-contexts-'));
    await mkdir(path.join(folder, 'extra'));
    await writeFile(path.join(folder, 'file'), '');
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const sourceOf = (source: string) =>
    contextsOf({ 'build-context': [`ext=${source}`] }, { folder } as Context).get('ext');

  it('takes a folder that is there for one, however it is written', () => {
    for (const source of ['extra', './extra', path.join(folder, 'extra')])
      expect(sourceOf(source)).toEqual({ kind: 'folder', path: path.join(folder, 'extra') });
  });

  it.each(['alpine', 'file', 'x.example/a/b:1'])('takes %s, which is no folder, for an image', (source) => {
    expect(sourceOf(source)).toEqual({ kind: 'image', reference: source });
  });

  it('takes what is marked as an image for one, also where a folder has its name', () => {
    expect(sourceOf('docker-image://extra')).toEqual({ kind: 'image', reference: 'extra' });
  });

  it.each(['./gone', '../gone', '/gone/for/good', '~/gone', './file', 'oci:', 'oci::name', 'oci:layout:'])(
    'refuses %s, naming the flag',
    (source) => {
      expect(() => sourceOf(source)).toThrow(
        expect.objectContaining({
          code: 'USAGE_BUILD_CONTEXT',
          message: expect.stringContaining(`--build-context ext=${source}: `),
        }),
      );
    },
  );

  it('begins a layout’s name after the first colon, as a Buildfile does', () => {
    expect(sourceOf('oci:layout')).toEqual({ kind: 'layout', path: path.join(folder, 'layout') });
    expect(sourceOf('oci:layout:x.example/app:1')).toMatchObject({
      path: path.join(folder, 'layout'),
      name: 'x.example/app:1',
    });
    expect(sourceOf('oci-layout:///l:app:1')).toMatchObject({ path: '/l', name: 'app:1' });
  });
});

describe('parseEpoch', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['0', 0],
    ['1700000000', 1_700_000_000],
  ])('takes %j as %j', (text, seconds) => {
    expect(parseEpoch(text)).toBe(seconds);
  });

  it.each(['-1', '1.5', 'today', '99999999999999'])('refuses %j, which is no time an image can have', (text) => {
    expect(() => parseEpoch(text)).toThrow(expect.objectContaining({ code: 'USAGE_SOURCE_DATE_EPOCH' }));
  });
});
