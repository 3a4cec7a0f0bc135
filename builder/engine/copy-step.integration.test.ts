import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, statSync, truncateSync } from 'node:fs';
import { appendFile, link, mkdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import {
  applyLayer,
  type ByteString,
  bytesOf,
  type Entry,
  encodeLayer,
  forEachEntry,
  openLauncher,
} from '../../runtime/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import { contextReport } from '../copy/context-report.ts';
import { ContextUse } from '../copy/context-use.ts';

let bench: TestWorkshop;

async function layerOf(build: TestBuild): Promise<Record<string, string>> {
  const layer = build.image.layers.at(-1);
  if (layer === undefined) return {};
  const seen: Record<string, string> = {};
  await forEachEntry(await bench.workshop.content.read(layer.descriptor), async (entry) => {
    seen[bytesOf(entry.path).toString()] = await summary(entry);
  });
  return seen;
}

async function summary(entry: Entry): Promise<string> {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return entry.type;
  const owned = `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} @${entry.mtime.seconds}`;
  if (entry.type === 'symlink' || entry.type === 'hardlink') return `${owned} -> ${entry.target}`;
  const xattrs = [...(entry.xattrs ?? [])].map(([name, value]) => ` ${name}=${value.toString('hex')}`).join('');
  if (entry.type !== 'file' || entry.content.kind !== 'stream') return owned + xattrs;
  return `${owned}${xattrs} ${Buffer.concat(await Array.fromAsync(entry.content.stream)).toString()}`;
}

const copy = (options: string) => `from = "scratch"\nsteps = [{ copy = ${options} }]`;

/** With a minute, what was just written counts as settled, and run steps cannot tell what times they made. */
let clockAheadMs = 0;

describe.skipIf(missing('root', 'overlay', 'busybox'))('copyStep', () => {
  beforeEach(async () => {
    clockAheadMs = 0;
    bench = await openTestWorkshop({ clock: { now: () => Date.now() + clockAheadMs } });
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('keeps the folders of what it copies with parents, through a link of the image', async () => {
    await bench.put({ 'a/b/one.txt': '1', 'a/c/two.txt': '2', 'a/c/no': '' });
    const build = await bench.build(`
      from = "busybox"
      steps = [
        { run = "mkdir -p /real/b && chmod 700 /real/b && ln -s real /to" },
        { copy = ["a/./**/*.txt"], to = "/to", parents = true },
      ]
    `);

    expect(await layerOf(build)).toEqual({
      real: 'directory 755 0:0 @1',
      'real/b': 'directory 700 0:0 @1',
      'real/b/one.txt': 'file 644 0:0 @1 1',
      'real/c': 'directory 755 0:0 @1',
      'real/c/two.txt': 'file 644 0:0 @1 2',
    });
  });

  it('keeps modes of the folders that parents are in a stage', async () => {
    const build = await bench.build(
      `
      [stages.tool]
      from = "busybox"
      steps = [{ run = "mkdir -p /out/deep && chmod 2750 /out && echo x > /out/deep/x" }]
      [stages.app]
      from = "scratch"
      steps = [{ copy = "/out/deep/x", from = "tool", to = "/", parents = true }]
    `,
      { target: 'app' },
    );

    expect(await layerOf(build)).toEqual({
      out: 'directory 2750 0:0 @1',
      'out/deep': 'directory 755 0:0 @1',
      'out/deep/x': 'file 644 0:0 @1 x\n',
    });
  });

  it('adds no layer when what is optional is not there, and adds one once it is', async () => {
    clockAheadMs = 60_000;
    const text = copy('["maybe*"], to = "/etc/", optional = true');
    const first = await bench.build(text);
    const again = await bench.build(text);
    await bench.put({ 'maybe.conf': 'x' });
    const later = await bench.build(text);

    expect(first.image.layers).toEqual([]);
    expect(again.cached).toHaveLength(1);
    expect(Object.keys(await layerOf(later))).toEqual(['etc', 'etc/maybe.conf']);
    await expect(bench.build(copy('["no*"], to = "/etc/"'))).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND' });
  });

  it('keeps what is asked of a context, and what is content of a stage', async () => {
    await bench.put({ 'd/tool': 'x' });
    const tool = path.join(bench.context, 'd/tool');
    execFileSync('chown', ['7:8', tool]);
    execFileSync('chmod', ['4751', tool]);
    execFileSync('setcap', ['cap_net_raw+ep', tool]);
    await utimes(tool, 86_400, 86_400);
    const capability = 'security.capability=0100000200200000000000000000000000000000';
    const text = (preserve: string) => copy(`"d/tool", to = "/", preserve = ${preserve}`);

    expect(await layerOf(await bench.build(text('[]')))).toEqual({ tool: 'file 755 0:0 @1 x' });
    expect(await layerOf(await bench.build(text('["mode", "owner", "time", "xattrs"]')))).toEqual({
      tool: `file 4751 7:8 @86400 ${capability} x`,
    });
    const all = 'preserve = ["mode", "owner", "time", "xattrs"]';
    const stage = (options: string) => `
      [stages.source]
      from = "scratch"
      steps = [{ copy = "d/tool", to = "/", ${all} }]
      [stages.app]
      from = "scratch"
      steps = [{ copy = "tool", from = "source", to = "/"${options} }]
    `;
    expect(await layerOf(await bench.build(stage(''), { target: 'app' }))).toEqual({
      tool: `file 4751 0:0 @86400 ${capability} x`,
    });
    expect(await layerOf(await bench.build(stage(', preserve = ["owner"]'), { target: 'app' }))).toEqual({
      tool: `file 4751 7:8 @86400 ${capability} x`,
    });
  });

  it('keeps attributes of files and folders whose names and values are any bytes', async () => {
    const value = Buffer.from([0, 0x80, 0xff, 0x0a]);
    const owned = { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } };
    const xattrs = new Map([['user.kind', value]]);
    const path = (text: string) => text as ByteString;
    const content = { kind: 'bytes', bytes: Buffer.from('z') } as const;
    const made: Entry[] = [
      { ...owned, type: 'directory', path: path('d'), xattrs },
      { ...owned, type: 'file', path: path('d/f\xff\n'), size: 1, content, xattrs },
      { ...owned, type: 'file', path: path('d/other'), size: 1, content, xattrs: new Map([['trusted.own', value]]) },
    ];
    await applyLayer(await openLauncher(), encodeLayer(made), bench.context, { userXattrs: false });
    const attributes = async (preserve: string) => {
      const build = await bench.build(copy(`"d", to = "/", parents = true, preserve = ${preserve}`));
      return Object.fromEntries(
        Object.entries(await layerOf(build)).map(([name, text]) => [name, / user\S+/.exec(text)?.[0] ?? '']),
      );
    };

    expect(await attributes('["xattrs"]')).toEqual({
      d: ' user.kind=0080ff0a',
      'd/f\ufffd\n': ' user.kind=0080ff0a',
      'd/other': '',
    });
    expect(Object.values(await attributes('[]'))).toEqual(['', '', '']);
  });

  it('looks into no stage whose files it knows', async () => {
    const text = `
      [stages.tool]
      from = "busybox"
      steps = [{ run = "mkdir /out && echo x > /out/x" }]
      [stages.app]
      from = "scratch"
      steps = [{ copy = "/out", from = "tool", to = "/" }]
    `;
    const first = await bench.build(text, { target: 'app' });
    const snapshots = path.join(bench.home, 'snapshots', 'v1');
    renameSync(snapshots, `${snapshots}-gone`);

    const second = await bench.build(text, { target: 'app' });

    expect(second.descriptor).toEqual(first.descriptor);
    expect(second.ran.filter((title) => !title.includes('FROM'))).toEqual([]);
    expect(existsSync(snapshots)).toBe(false);
  });

  it('is not run again when a stage was built otherwise and holds the same files', async () => {
    const text = (script: string) => `
      [stages.tool]
      from = "busybox"
      steps = [{ run = "mkdir /out; ${script}" }]
      [stages.app]
      from = "scratch"
      steps = [{ copy = "/out", from = "tool", to = "/" }]
    `;
    await bench.build(text('echo x > /out/x'), { target: 'app' });
    const second = await bench.build(text('touch /elsewhere; echo x > /out/x'), { target: 'app' });

    expect(second.ran.some((title) => title.includes('RUN'))).toBe(true);
    expect(second.cached.some((title) => title.includes('COPY'))).toBe(true);
  });

  it('sees every change of a context, and only changes', async () => {
    clockAheadMs = 60_000;
    await bench.put({ a: 'one', 'd/b': 'two' });
    const text = copy('".", to = "/"');
    const isCached = async () => (await bench.build(text)).cached.length === 1;
    const a = path.join(bench.context, 'a');
    await bench.build(text);

    expect(await isCached()).toBe(true);
    await utimes(a, 5, 5);
    expect(await isCached()).toBe(true);
    await writeFile(`${a}.new`, 'eno');
    await utimes(`${a}.new`, 5, 5);
    await rename(`${a}.new`, a);
    expect(await isCached()).toBe(false);
    await writeFile(a, 'neo');
    await utimes(a, 5, 5);
    expect(await isCached()).toBe(false);
    await mkdir(path.join(bench.context, 'empty'));
    expect(await isCached()).toBe(false);
    await rm(path.join(bench.context, 'empty'), { recursive: true });
    expect(await isCached()).toBe(true);
    await symlink('a', path.join(bench.context, 'l'));
    expect(await isCached()).toBe(false);
    await rm(path.join(bench.context, 'l'));
    await symlink('d', path.join(bench.context, 'l'));
    expect(await isCached()).toBe(false);
  });

  it('gives the same layer from a warm and a cold store', async () => {
    clockAheadMs = 60_000;
    await bench.put({ a: 'a', 'd/b': 'b', 'd/c': 'c' });
    await link(path.join(bench.context, 'a'), path.join(bench.context, 'd/a'));
    const text = copy('".", to = "/x"');
    await bench.build(text);
    await appendFile(path.join(bench.context, 'd/c'), 'c');
    const warm = await bench.build(text);
    const cold = await bench.build(text, { noCache: true });
    await using other = await openTestWorkshop();
    execFileSync('cp', ['-a', `${bench.context}/.`, other.context]);
    const elsewhere = await other.build(text);

    expect(await layerOf(warm)).toMatchObject({ 'x/a': 'file 644 0:0 @1 a', 'x/d/a': 'hardlink 644 0:0 @1 -> x/a' });
    expect([cold.descriptor.digest, elsewhere.descriptor.digest]).toEqual([
      warm.descriptor.digest,
      warm.descriptor.digest,
    ]);
  });

  it('copies from a named folder by its own ignore file, and never out of it', async () => {
    clockAheadMs = 60_000;
    const folder = path.join(bench.home, 'library');
    await mkdir(path.join(folder, 'sub'), { recursive: true });
    for (const [name, content] of Object.entries({ keep: 'k', drop: 'd', 'sub/x': 'x', '.dockerignore': 'drop\n.*' }))
      await writeFile(path.join(folder, name), content);
    await symlink('../../etc', path.join(folder, 'out'));
    const contexts = new Map([['lib', { kind: 'folder', path: folder } as const]]);

    const build = await bench.build(copy('["keep", "sub"], from = "lib", to = "/"'), { contexts });
    const again = await bench.build(copy('["keep", "sub"], from = "lib", to = "/"'), { contexts });

    expect(await layerOf(build)).toEqual({ keep: 'file 644 0:0 @1 k', x: 'file 644 0:0 @1 x' });
    expect(again.cached).toHaveLength(1);
    for (const [source, code] of [
      ['drop', 'COPY_SOURCE_NOT_FOUND'],
      ['out/passwd', 'COPY_SOURCE_OUTSIDE'],
    ]) {
      const stolen = bench.build(copy(`"${source}", from = "lib", to = "/"`), { contexts });
      await expect(stolen, source).rejects.toMatchObject({ code, message: expect.stringContaining('the context lib') });
    }
    await expect(
      bench.build(copy('"x", from = "lib", to = "/"'), {
        contexts: new Map([['lib', { kind: 'folder', path: `${folder}-gone` } as const]]),
      }),
    ).rejects.toMatchObject({ code: 'CONTEXT_NOT_FOUND' });
  });

  it('copies from an image, and from a layout on disk', async () => {
    const fromImage = await bench.build(copy('"/etc/passwd", from = "busybox", to = "/a"'));
    const layout = path.join(bench.home, 'content');
    const contexts = new Map([
      ['base', { kind: 'layout', path: layout, name: 'docker.io/library/busybox:latest' } as const],
    ]);
    const fromLayout = await bench.build(copy('"/etc/passwd", from = "base", to = "/a"'), { contexts });

    expect(Object.keys(await layerOf(fromImage))).toEqual(['a']);
    expect(fromLayout.image.config.diffIds).toEqual(fromImage.image.config.diffIds);
    expect(fromLayout.image.annotations['kiln.sources']).toContain('"oci:docker.io/library/busybox:latest"');
  });

  it('writes a file with holes whole, and keeps the holes on disk', async () => {
    const size = 96 * 1024 * 1024 + 700;
    const file = path.join(bench.context, 'disk');
    await writeFile(file, 'start');
    truncateSync(file, size - 3);
    await appendFile(file, 'end');
    truncateSync(path.join(bench.context, 'disk'), size);
    const build = await bench.build(copy('"disk", to = "/disk"'));
    const [layer] = build.image.layers;
    if (layer === undefined) throw new TypeError('no layer');
    const blob = bench.workshop.content.blobFile(layer.descriptor.digest);

    expect(statSync(blob).size).toBe(layer.descriptor.size);
    expect(statSync(blob).blocks * 512).toBeLessThan(8 * 1024 * 1024);
    expect(sha256(await readFile(blob))).toBe(layer.descriptor.digest);
    const content = execFileSync('tar', ['-xOf', blob, 'disk'], { maxBuffer: 2 * size });
    expect(content.equals(await readFile(file))).toBe(true);
  });

  it('fails when a big file changes between being looked at and being copied', async () => {
    const file = path.join(bench.context, 'big');
    await writeFile(file, Buffer.alloc(5 * 1024 * 1024, 1));
    let writes = false;
    const clock = {
      now() {
        if (writes) {
          truncateSync(file, 0);
          truncateSync(file, 5 * 1024 * 1024);
        }
        return Date.now() + 60_000;
      },
    };
    await using changing = await openTestWorkshop({ clock });
    writes = true;
    const build = changing.build(copy('"big", from = "here", to = "/"'), {
      contexts: new Map([['here', { kind: 'folder', path: bench.context } as const]]),
    });

    await expect(build).rejects.toMatchObject({ code: 'COPY_FILE_CHANGED' });
    expect(await Array.fromAsync(changing.workshop.cache.diffIds())).toEqual([]);
  });

  it('refuses destinations that no path can name', async () => {
    await bench.put({ x: 'x' });
    const deep = Array(20).fill('n'.repeat(250)).join('/');

    await expect(bench.build(copy(`"x", to = "/${deep}/"`))).rejects.toMatchObject({ code: 'COPY_PATH_TOO_LONG' });
    await expect(bench.build(copy(`"x", to = "/${'n'.repeat(256)}"`))).rejects.toMatchObject({
      code: 'COPY_DESTINATION_INVALID',
    });
  });

  it('tells what was read of the context, what was dropped and what was neither', async () => {
    await bench.put({ 'src/a': 'aa', 'src/b/c': 'c', 'node_modules/x/y': 'yyyy', 'z.log': 'z', left: 'over' });
    const contextUse = new ContextUse();
    await bench.build(copy('["src", "src/a"], to = "/"'), {
      contextUse,
      ignore: parseIgnoreFile('node_modules\n*.log\n!kept.log'),
    });

    expect(await contextReport(contextUse)).toEqual([
      {
        name: 'the context',
        folder: bench.context,
        copied: { files: 2, bytes: 3 },
        largestFiles: [
          { path: 'src/a', files: 1, bytes: 2 },
          { path: 'src/b/c', files: 1, bytes: 1 },
        ],
        largestFolders: [
          { path: 'src', files: 2, bytes: 3 },
          { path: 'src/b', files: 1, bytes: 1 },
        ],
        ignored: {
          files: 2,
          bytes: 5,
          patterns: [
            { pattern: 'node_modules', files: 1, bytes: 4 },
            { pattern: '*.log', files: 1, bytes: 1 },
          ],
          largest: [
            { path: 'node_modules', files: 1, bytes: 4 },
            { path: 'z.log', files: 1, bytes: 1 },
          ],
        },
        unused: { files: 1, bytes: 4, largest: [{ path: 'left', files: 1, bytes: 4 }] },
      },
    ]);
  });
});
