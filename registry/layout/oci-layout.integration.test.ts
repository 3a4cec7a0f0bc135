import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { LockFolder, sleep } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { OciLayout } from './oci-layout.ts';

const run = promisify(execFile);

async function openLayout() {
  const temporary = await mkdtempDisposable(path.join(tmpdir(), 'kiln-layout-'));
  const folder = path.join(temporary.path, 'content');
  const locks = path.join(temporary.path, 'locks');
  const layout = await OciLayout.open(folder, { locks: new LockFolder(locks) });
  return { layout, folder, locks, path: temporary.path, [Symbol.asyncDispose]: () => temporary.remove() };
}

/** Another process that runs `body` with `layout` opened on the same folder. */
function inProcess(opened: { folder: string; locks: string }, body: string) {
  const script = `
    const { OciLayout } = await import(${JSON.stringify(new URL('./oci-layout.ts', import.meta.url).href)});
    const { LockFolder } = await import(${JSON.stringify(new URL('../../core/index.ts', import.meta.url).href)});
    const locks = new LockFolder(${JSON.stringify(opened.locks)});
    const layout = await OciLayout.open(${JSON.stringify(opened.folder)}, { locks });
    ${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** An empty tar: what a layer may be. */
const emptyTar = '\0'.repeat(1024);

describe.skipIf(missing('skopeo', 'umoci'))('an OCI layout as other tools see it', () => {
  it('is read by skopeo and umoci as it lies on disk', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one', [emptyTar]);
    await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(image.root, 'localhost:5000/web:1');
    await opened.layout.tag(image.root, 'docker.io/library/debian:bookworm');

    const source = `oci:${opened.folder}:localhost:5000/web:1`;
    const { stdout } = await run('skopeo', ['inspect', '--raw', source]);
    await run('skopeo', ['copy', '--quiet', source, `oci:${path.join(opened.path, 'copy')}:x`]);
    const listed = await run('umoci', ['list', '--layout', opened.folder]);
    await run('umoci', ['stat', '--image', `${opened.folder}:docker.io/library/debian:bookworm`]);

    expect(`sha256:${createHash('sha256').update(stdout).digest('hex')}`).toBe(image.root.digest);
    expect(listed.stdout.trim().split('\n').sort()).toEqual([
      'docker.io/library/debian:bookworm',
      'localhost:5000/web:1',
    ]);
    const copied = await OciLayout.openReadOnly(path.join(opened.path, 'copy'));
    expect((await copied.resolve('x')).mediaType).toBe(image.root.mediaType);
  });

  it('keeps what umoci tagged, and gives it a name of its own', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one', [emptyTar]);
    await copyImage(image.content, opened.layout, image.root);
    await opened.layout.tag(image.root, 'first');

    await run('umoci', ['tag', '--image', `${opened.folder}:first`, 'second']);
    await opened.layout.tag(image.root, 'third');

    expect((await opened.layout.list()).map(({ name }) => name).sort()).toEqual(['first', 'second', 'third']);
  });
});

describe('an OCI layout shared by processes', () => {
  it('loses no name when several tag at once', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    const root = JSON.stringify(image.root);

    const codes = await Promise.all(
      [0, 1, 2, 3].map(async (writer) => {
        const tag = `await layout.tag(${root}, \`w${writer}:\${turn}\`)`;
        const child = inProcess(opened, `for (let turn = 0; turn < 10; turn++) ${tag};`);
        const [code] = await once(child, 'exit');
        return code;
      }),
    );

    expect(codes).toEqual([0, 0, 0, 0]);
    expect(await opened.layout.list()).toHaveLength(40);
  });

  it('is valid after a writer was killed in the middle', async () => {
    await using opened = await openLayout();
    const image = await sampleImage('one');
    await copyImage(image.content, opened.layout, image.root);
    const body = `
      const { Readable } = await import('node:stream');
      const root = ${JSON.stringify(image.root)};
      process.stdout.write('begun');
      for (let turn = 0; ; turn++) {
        const bytes = Buffer.alloc(3_000_000, String(turn));
        await layout.ingest(Readable.from([bytes, bytes], { objectMode: false }));
        await layout.tag(root, 'turn:' + (turn % 5));
      }`;
    for (const waitMs of [3, 11, 27, 45]) {
      const child = inProcess(opened, body);
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await sleep(waitMs);
      child.kill('SIGKILL');
      await ended;

      for (const name of await readdir(path.join(opened.folder, 'blobs', 'sha256'))) {
        const bytes = await readFile(path.join(opened.folder, 'blobs', 'sha256', name));
        expect(createHash('sha256').update(bytes).digest('hex')).toBe(name);
      }
      await opened.layout.tag(image.root, 'after:1');
      expect(await opened.layout.resolve('after:1')).toEqual(image.root);
    }
    await opened.layout.collectGarbage({ now: Date.now() + 3_600_000, minAgeMs: 0 });
    expect(await readdir(path.join(opened.folder, '.incoming'))).toEqual([]);
    expect(await opened.layout.has(image.root)).toBe(true);
  });

  it('can be made by several at once', async () => {
    await using temporary = await mkdtempDisposable(path.join(tmpdir(), 'kiln-layout-'));
    const folder = path.join(temporary.path, 'content');
    const locks = path.join(temporary.path, 'locks');
    await mkdir(locks);

    const children = [0, 1, 2].map(() => inProcess({ folder, locks }, ''));
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));

    expect(codes).toEqual([0, 0, 0]);
    expect((await stat(path.join(folder, 'oci-layout'))).isFile()).toBe(true);
  });
});
