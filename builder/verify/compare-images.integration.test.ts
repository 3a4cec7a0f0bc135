import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { compareImages, type ImageDifference } from './compare-images.ts';

let bench: TestWorkshop;

/** The difference of the images that two lists of steps make. */
async function difference(before: string, after: string): Promise<ImageDifference | undefined> {
  const [was, is] = [await bench.build(`from = "busybox"\n${before}`), await bench.build(`from = "busybox"\n${after}`)];
  return compareImages(bench.workshop, was.image, is.image);
}

const run = (script: string) => `steps = [{ run = "${script}" }]`;

describe.skipIf(missing('root', 'overlay', 'busybox'))('compareImages', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('finds nothing in equal images', async () => {
    expect(await difference(run('echo a > /x'), run('echo a > /x'))).toBeUndefined();
  });

  it('names the layer, the file and what of it', async () => {
    expect(await difference(run('echo a > /b; echo 1 > /c'), run('echo b > /b; echo 2 > /c'))).toMatchObject({
      where: 'layer',
      layer: 2,
      step: 'RUN echo a > /b; echo 1 > /c',
      file: 'b',
      attribute: 'content',
      before: expect.stringMatching(/^sha256:/),
    });
  });

  it.each([
    ['mode', 'touch /f; chmod 640 /f', 'touch /f; chmod 600 /f', '0640', '0600'],
    ['uid', 'touch /f; chown 5 /f', 'touch /f; chown 6 /f', '5', '6'],
    ['mtime', 'touch -d @86400 /f', 'touch -d @86401 /f', '86400.000000000', '86401.000000000'],
    ['target', 'ln -s a /f', 'ln -s b /f', 'a', 'b'],
    ['type', 'mkdir /f', 'touch /f', 'directory', 'file'],
    ['presence', 'touch /e /f', 'touch /e', 'there', 'absent'],
  ])('names a %s', async (attribute, before, after, was, is) => {
    expect(await difference(run(before), run(after))).toMatchObject({
      where: 'layer',
      file: 'f',
      attribute,
      before: was,
      after: is,
    });
  });

  it('names a value of the config when the layers are equal', async () => {
    const image = (value: string) => `${run('echo > /x')}\n[image]\nenv = { A = "${value}" }`;

    expect(await difference(image('1'), image('2'))).toMatchObject({
      where: 'config',
      path: expect.stringMatching(/^config\.Env\.\d$/),
      before: '"A=1"',
      after: '"A=2"',
    });
  });

  it('says when one has more layers', async () => {
    expect(await difference(run('echo > /x'), 'steps = [{ run = "echo > /x" }, { run = "echo > /y" }]')).toMatchObject({
      where: 'layers',
    });
  });
});
