import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { digestHex, type Image, openImage, parsePlatform } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { layersAnnotation } from './assemble.ts';

interface Origin {
  readonly kind: string;
  readonly stage: string;
  readonly steps: readonly string[];
}

/** The map, which must have one element for each layer; and as many lines of history must have one. */
function mapOf(image: Image): Origin[] {
  const map = JSON.parse(image.annotations[layersAnnotation] ?? '[]') as Origin[];
  expect(map).toHaveLength(image.layers.length);
  expect(image.config.history.filter(({ empty_layer }) => empty_layer !== true)).toHaveLength(image.layers.length);
  return map;
}

function filesOf({ workshop }: TestWorkshop, image: Image, index: number): string[] {
  const layer = image.layers.at(index);
  if (layer === undefined) throw new TypeError('there is no such layer');
  return execFileSync('tar', ['-tf', workshop.content.blobFile(layer.diffId)], { encoding: 'utf8' })
    .trim()
    .split('\n');
}

const grouped = `
from = "busybox"
steps = [
  { run = "echo one > /one && echo scratch > /scratch", layer = "app" },
  { env = { COLOUR = "blue" } },
  { run = "echo $COLOUR > /two && rm /scratch && echo changed > /one && rm /bin/uname", layer = "app" },
  { test = "test -f /two && ! test -e /scratch" },
  { run = "cat /one /two > /three", layer = "app" },
  { workdir = "/made" },
  { run = "echo four > four" },
]
`;

describe.skipIf(missing('root', 'overlay', 'busybox'))('layers made one', () => {
  it('are what steps of one name leave, with nothing of what came and went among them', async () => {
    await using bench = await openTestWorkshop();

    const built = await bench.build(grouped);

    expect(mapOf(built.image).map(({ kind, steps }) => [kind, steps.length])).toEqual([
      ['base', 1],
      ['run', 3],
      ['workdir', 1],
      ['run', 1],
    ]);
    expect(filesOf(bench, built.image, 1)).toEqual(['bin/', 'bin/.wh.uname', 'one', 'three', 'two']);
    expect(
      built.image.config.history.map(({ created_by, empty_layer }) => [created_by?.slice(0, 4), empty_layer]),
    ).toEqual([
      ['fixt', undefined],
      ['RUN ', true],
      ['ENV ', true],
      ['RUN ', true],
      ['RUN ', undefined],
      ['WORK', undefined],
      ['RUN ', undefined],
    ]);
  });

  it('cost nothing the second time, and are the same in another store', async () => {
    await using bench = await openTestWorkshop();
    await using other = await openTestWorkshop();
    const first = await bench.build(grouped);

    const second = await bench.build(grouped);

    // A test is carried out, or remembered, like any step.
    expect(second.ran.filter((title) => / (RUN|WORKDIR) /.test(title))).toEqual([]);
    expect(second.descriptor).toEqual(first.descriptor);
    expect((await other.build(grouped)).descriptor).toEqual(first.descriptor);
  });

  it('do not change the keys of the steps among them', async () => {
    await using bench = await openTestWorkshop();
    const steps = ['{ run = "echo a > /a" LAYER }', '{ run = "echo b > /b" LAYER }'].join(', ');
    const text = (layer: string) => `from = "busybox"\nsteps = [${steps.replaceAll('LAYER', layer)}]\n`;
    await bench.build(text(''));

    const named = await bench.build(text(', layer = "x"'));

    expect(named.ran.filter((title) => title.includes('RUN'))).toEqual([]);
    expect(named.image.layers).toHaveLength(2);
  });

  it('end with a step of another name or none, and may come to nothing', async () => {
    await using bench = await openTestWorkshop();

    const built = await bench.build(`
from = "busybox"
steps = [
  { run = "echo a > /a", layer = "x" },
  { run = "rm /a", layer = "x" },
  { run = "echo b > /b", layer = "y" },
  { run = "echo c > /c", layer = "y" },
  { run = "echo d > /d", layer = "x" },
]
`);

    expect(mapOf(built.image).map(({ steps }) => steps)).toEqual([
      ['FROM docker.io/library/busybox:latest'],
      ['RUN echo b > /b', 'RUN echo c > /c'],
      ['RUN echo d > /d'],
    ]);
  });

  it('are one for the whole image when it is squashed', async () => {
    await using bench = await openTestWorkshop();
    const text = 'from = "busybox"\nsteps = [{ run = "rm /bin/uname && echo a > /a" }, { run = "echo b > /a" }]\n';
    const plain = await bench.build(text);

    const squashed = await bench.build(text, { squash: true });

    expect(mapOf(squashed.image)).toEqual([
      { kind: 'squash', stage: 'main', steps: mapOf(plain.image).flatMap(({ steps }) => steps) },
    ]);
    expect(squashed.image.config.history.map(({ created_by, empty_layer }) => [created_by, empty_layer])).toEqual([
      ...plain.image.config.history.map(({ created_by }) => [created_by, true]),
      ['SQUASH', undefined],
    ]);
    const files = filesOf(bench, squashed.image, 0);
    expect(files).toContain('a');
    expect(files).not.toContain('bin/uname');
    expect(files.filter((name) => name.includes('.wh.'))).toEqual([]);
    expect((await bench.build(text, { squash: true })).descriptor).toEqual(squashed.descriptor);
    expect((await bench.build(text)).descriptor).toEqual(plain.descriptor);
  });

  it('leave alone an image of one layer', async () => {
    await using bench = await openTestWorkshop();
    const text = 'from = "busybox"\nsteps = []\n';

    const squashed = await bench.build(text, { squash: true });

    expect(squashed.image.layers).toEqual((await bench.build(text)).image.layers);
  });

  it('are shown with the base they lie on, and with none on scratch', async () => {
    await using bench = await openTestWorkshop();
    await bench.put({ file: 'x' });
    const onBase = await bench.build('from = "busybox"\nsteps = [{ copy = "file" }]\n');
    const onScratch = await bench.build('from = "scratch"\nsteps = [{ copy = "file" }]\n');
    const platform = parsePlatform(`linux/${process.arch === 'x64' ? 'amd64' : process.arch}`);
    const base = await openImage(
      bench.workshop.content,
      await bench.workshop.content.resolve('docker.io/library/busybox:latest'),
      { platform },
    );

    expect(onBase.image.annotations).toMatchObject({
      'org.opencontainers.image.base.name': 'docker.io/library/busybox:latest',
      'org.opencontainers.image.base.digest': base.descriptor.digest,
    });
    expect(Object.keys(onScratch.image.annotations)).toEqual([layersAnnotation]);
    expect(digestHex(base.descriptor.digest)).toHaveLength(64);
  });
});
