import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';

/** One name in a tree that is made up; names are bytes, one character each. */
type Node = { readonly in: number; readonly name: string; readonly mode: number; readonly time: number } & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'file'; readonly size: number; readonly byte: number; readonly uid: number }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'hardlink'; readonly to: number }
);

const bytes = (maxLength: number) =>
  fc
    .uint8Array({ minLength: 1, maxLength })
    .map((name) => Buffer.from(name.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))).toString('latin1'))
    .filter((name) => name !== '.' && name !== '..' && !name.startsWith('.wh.'));
const common = {
  in: fc.nat(7),
  name: fc.oneof(bytes(12), bytes(255), fc.constantFrom('a', 'a.b', 'a b', 'ü', '-', 'ä\n')),
  mode: fc.constantFrom(0o644, 0o755, 0o600, 0o700, 0o4755, 0o2770, 0o1777, 0o444),
  time: fc.integer({ min: 0, max: 3_000_000_000 }),
};
const node: fc.Arbitrary<Node> = fc.oneof(
  fc.record({ ...common, kind: fc.constant('folder' as const) }),
  fc.record({
    ...common,
    kind: fc.constant('file' as const),
    size: fc.oneof(fc.nat(3000), fc.constantFrom(0, 511, 512, 513, 1_048_064, 1_048_576, 2_500_000)),
    byte: fc.nat(255),
    uid: fc.constantFrom(0, 7, 70_000, 3_000_000),
  }),
  fc.record({ ...common, kind: fc.constant('symlink' as const), target: bytes(150) }),
  fc.record({ ...common, kind: fc.constant('hardlink' as const), to: fc.nat(20) }),
);

let bench: TestWorkshop;

describe.skipIf(missing('root'))('a tree that was copied', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop({ clock: { now: () => Date.now() + 60_000 } });
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('is, unpacked by GNU tar, what it was, as far as it is kept', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(node, { minLength: 1, maxLength: 14 }), fc.boolean(), async (nodes, keepsAll) => {
        const source = path.join(bench.context, String(run));
        const unpacked = path.join(bench.home, `unpacked-${run++}`);
        makeTree(source, nodes);
        const build = await bench.build(text(path.basename(source), keepsAll));

        mkdirSync(unpacked);
        // Else tar gives a folder its time as soon as it leaves it, and `a b` lies between `a` and `a/x`.
        const options = ['-p', '--numeric-owner', '--delay-directory-restore'];
        const tar = ['-x', ...options, '-C', unpacked, '-f', topBlob(build)];
        execFileSync('tar', tar, { stdio: ['ignore', 'ignore', 'pipe'] });

        expect(treeAt(path.join(unpacked, 'to'))).toEqual(expected(source, keepsAll));
        rmSync(unpacked, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });

  it.skipIf(missing('umoci'))('is the same unpacked by umoci', async () => {
    const [nodes = []] = fc.sample(fc.array(node, { minLength: 60, maxLength: 60 }), { numRuns: 1, seed: 4 });
    makeTree(path.join(bench.context, 'tree'), nodes);
    const build = await bench.build(text('tree', true));
    const [layout, bundle] = [path.join(bench.home, 'layout'), path.join(bench.home, 'bundle')];
    const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    umoci('init', '--layout', layout);
    umoci('new', '--image', `${layout}:test`);
    umoci('raw', 'add-layer', '--image', `${layout}:test`, topBlob(build));
    umoci('unpack', '--image', `${layout}:test`, bundle);

    expect(treeAt(path.join(bundle, 'rootfs/to'))).toEqual(expected(path.join(bench.context, 'tree'), true));
  });
});

function text(source: string, keepsAll: boolean): string {
  const preserve = keepsAll ? ', preserve = ["mode", "owner", "time"]' : '';
  return `from = "scratch"\nsteps = [{ copy = "${source}", to = "/to"${preserve} }]`;
}

function topBlob(build: TestBuild): string {
  const layer = build.image.layers.at(-1);
  if (layer === undefined) throw new TypeError('nothing was copied');
  return bench.workshop.content.blobFile(layer.descriptor.digest);
}

function makeTree(root: string, nodes: readonly Node[]): void {
  mkdirSync(root);
  const folders = [Buffer.from(root)];
  const files: Buffer[] = [];
  const made: [Buffer, Node][] = [];
  for (const item of nodes) {
    const folder = folders[item.in % folders.length] ?? Buffer.from(root);
    const file = Buffer.concat([folder, Buffer.from('/'), Buffer.from(item.name, 'latin1')]);
    if (file.length > 3000 || lstatSync(file, { throwIfNoEntry: false }) !== undefined) continue;
    if (item.kind === 'folder') folders.push(file);
    if (item.kind === 'folder') mkdirSync(file);
    else if (item.kind === 'symlink') symlinkSync(Buffer.from(item.target, 'latin1'), file);
    else if (item.kind === 'hardlink') {
      const target = files[item.to % Math.max(1, files.length)];
      if (target !== undefined) linkSync(target, file);
      continue;
    } else {
      writeFileSync(file, Buffer.alloc(item.size, item.byte));
      files.push(file);
    }
    made.push([file, item]);
  }
  // Times last, from the inside out: what is put into a folder changes its time.
  for (const [file, item] of made.reverse()) {
    if (item.kind === 'file') chownSync(file, item.uid, item.uid);
    if (item.kind === 'symlink') lutimesSync(file, item.time, item.time);
    if (item.kind === 'symlink') continue;
    chmodSync(file, item.mode);
    utimesSync(file, item.time, item.time);
  }
}

interface Seen {
  readonly type: string;
  readonly mode: number;
  readonly owner: string;
  readonly time: number;
  /** Digest or link target. */
  readonly content: string;
  /** The first name of the same file. */
  readonly first: string;
}

/** All below a folder by path; told by Node alone. */
function treeAt(root: string): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const first = new Map<number, string>();
  if (!existsSync(root)) return seen;
  const visit = (below: string): void => {
    const folder = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(below, 'latin1')]);
    for (const name of readdirSync(folder, 'latin1').sort()) {
      const relative = below === '' ? name : `${below}/${name}`;
      const file = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(relative, 'latin1')]);
      const stats = lstatSync(file);
      const type = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'symlink' : 'file';
      const content = type === 'symlink' ? readlinkSync(file, 'latin1') : type === 'file' ? digestOf(file) : '';
      if (!first.has(stats.ino)) first.set(stats.ino, relative);
      seen.set(relative, {
        type,
        mode: stats.mode & 0o7777,
        owner: `${stats.uid}:${stats.gid}`,
        time: Math.floor(stats.mtimeMs / 1000),
        content,
        first: first.get(stats.ino) ?? relative,
      });
      if (type === 'folder') visit(relative);
    }
  };
  visit('');
  return seen;
}

/** What a copy keeps of a tree. */
function expected(root: string, keepsAll: boolean): Map<string, Seen> {
  const tree = treeAt(root);
  if (keepsAll) return tree;
  return new Map(
    [...tree].map(([name, seen]) => {
      const isExecutable = seen.type === 'folder' || (seen.mode & 0o111) !== 0;
      const mode = seen.type === 'symlink' ? seen.mode : isExecutable ? 0o755 : 0o644;
      return [name, { ...seen, mode, owner: '0:0', time: 1 }];
    }),
  );
}

function digestOf(file: Buffer): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
