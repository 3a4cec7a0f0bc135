import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ToolError } from '../core/index.ts';
import { encodeLayer } from '../runtime/index.ts';
import { endOfArchive, member, type RawMember } from '../runtime/layer/raw-tar.testing.ts';
import { folderEntries, staysInside } from './artifact-folder.ts';
import { unpackFolder } from './unpack-folder.ts';

const made: string[] = [];

afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder to unpack into, with a neighbour that nothing may touch. */
function place(): { readonly around: string; readonly inside: string } {
  const around = mkdtempSync(path.join(tmpdir(), 'kiln-unpack-'));
  made.push(around);
  const inside = path.join(around, 'inside');
  mkdirSync(inside);
  return { around, inside };
}

function unpack(inside: string, members: readonly RawMember[]): Promise<void> {
  return unpackFolder(Readable.from(Buffer.concat([...members.map(member), endOfArchive])), inside);
}

const folder = (name: string): RawMember => ({ name, flag: '5', mode: '0000755\0' });
const link = (name: string, target: string): RawMember => ({ name, flag: '2', link: target });
const hardLink = (name: string, target: string): RawMember => ({ name, flag: '1', link: target });

describe('a folder out of an artifact', () => {
  it('is made with its files, links and modes', async () => {
    const { inside } = place();

    await unpack(inside, [
      folder('docs/'),
      { name: 'docs/a', content: 'A', mode: '0006755\0' },
      link('docs/l', 'a'),
      hardLink('docs/h', 'docs/a'),
      { name: 'docs/deep/b', content: 'B' },
    ]);

    expect(readFileSync(path.join(inside, 'docs/l'), 'utf8')).toBe('A');
    expect(readFileSync(path.join(inside, 'docs/deep/b'), 'utf8')).toBe('B');
    expect(statSync(path.join(inside, 'docs/a')).mode & 0o7777).toBe(0o755);
    expect(statSync(path.join(inside, 'docs/h')).ino).toBe(statSync(path.join(inside, 'docs/a')).ino);
  });

  it('has the later of two files of one name', async () => {
    const { inside } = place();

    await unpack(inside, [
      { name: 'a', content: '1' },
      { name: 'b', content: 'B' },
      link('a', 'b'),
      { name: 'a', content: '2' },
    ]);

    expect(readFileSync(path.join(inside, 'a'), 'utf8')).toBe('2');
    expect(readFileSync(path.join(inside, 'b'), 'utf8')).toBe('B');
  });

  it.each<[string, readonly RawMember[]]>([
    ['a link to an absolute path', [link('l', '/etc')]],
    ['a link that leads out', [link('l', '../x')]],
    ['a link that leads out from below', [folder('d'), link('d/l', '../../x')]],
    ['a step up after a name, which may be a link', [folder('d'), link('d/up', '..'), link('out', 'd/up/../x')]],
    ['a file through a link', [folder('d'), link('l', 'd'), { name: 'l/x', content: 'x' }]],
    ['a folder in the place of a link', [folder('d'), link('l', 'd'), folder('l')]],
    ['a file in the place of a folder', [folder('d'), { name: 'd', content: 'x' }]],
    ['a hard link through a link', [folder('d'), { name: 'd/a', content: 'a' }, link('l', 'd'), hardLink('h', 'l/a')]],
    ['a hard link to nothing', [hardLink('h', 'a')]],
    ['a hard link to a link', [{ name: 'a', content: 'a' }, link('l', 'a'), hardLink('h', 'l')]],
    ['a device', [{ name: 'null', flag: '3', device: ['1', '3'] }]],
    ['a pipe', [{ name: 'pipe', flag: '6' }]],
    ['a mark that deletes', [{ name: '.wh.x' }]],
  ])('is refused with %s', async (_what, members) => {
    const { around, inside } = place();

    await expect(unpack(inside, members)).rejects.toMatchObject({ code: 'ARTIFACT_FOLDER_UNSAFE' });

    expect(readdirSync(around)).toEqual(['inside']);
  });

  it('is refused with names that lead out', async () => {
    const { around, inside } = place();

    await expect(unpack(inside, [{ name: '../x', content: 'x' }])).rejects.toMatchObject({ code: 'LAYER_INVALID' });

    expect(existsSync(path.join(around, 'x'))).toBe(false);
  });

  it('stays where it is, and so do all its links, whatever is in it', async () => {
    const names = fc.constantFrom('a', 'b', 'a/b', 'a/b/c', 'b/a', 'a/l', 'l', 'l/x', 'a/b/l');
    const targets = fc.constantFrom(
      'a',
      'b',
      '..',
      '../a',
      '../..',
      'l',
      'a/l',
      'l/..',
      'b/../..',
      '.',
      '/',
      'a/b/../..',
    );
    const members = fc.record({ name: names, flag: fc.constantFrom('0', '1', '2', '5'), link: targets });

    await fc.assert(
      fc.asyncProperty(fc.array(members, { maxLength: 6 }), async (list) => {
        // What is refused is left away, so that what follows it is tried as well.
        const taken: RawMember[] = [];
        for (const entry of list) {
          const { around, inside } = place();
          try {
            await unpack(inside, [...taken, entry]).then(() => taken.push(entry), ignored);
            expect(readdirSync(around)).toEqual(['inside']);
            for (const file of everything(inside)) expectInside(inside, file);
          } finally {
            rmSync(around, { recursive: true, force: true });
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('a folder for an artifact', () => {
  it('is the same tar whatever the time and the owner of its files', async () => {
    const tars = await Promise.all(
      [0, 1].map(async () => {
        const { inside } = place();
        await unpack(inside, [
          folder('z'),
          { name: 'z/b', content: 'B' },
          { name: 'a', content: 'A' },
          link('l', 'z/b'),
        ]);
        const chunks: Buffer[] = [];
        for await (const chunk of encodeLayer(folderEntries(inside, 'some/title'))) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks);
      }),
    );

    expect(tars[0]?.equals(tars[1] ?? Buffer.alloc(0))).toBe(true);
    const { inside } = place();
    await unpackFolder(Readable.from(tars), inside);
    expect(readFileSync(path.join(inside, 'some/title/l'), 'utf8')).toBe('B');
  });

  it.each([
    ['l', 'x', true],
    ['l', '.', true],
    ['l', '..', false],
    ['l', '../x', false],
    ['d/l', '..', true],
    ['d/l', '../x', true],
    ['d/l', '../../x', false],
    ['d/l', './../x/y', true],
    ['d/l', 'x/../y', false],
    ['l', '/x', false],
    ['l', '', false],
  ])('lets %s lead to %j: %j', (file, target, isInside) => {
    expect(staysInside(file, target)).toBe(isInside);
  });
});

function ignored(error: unknown): void {
  if (!(error instanceof ToolError)) throw error;
}

function* everything(inside: string): Generator<string, void> {
  for (const name of readdirSync(inside)) {
    const file = path.join(inside, name);
    yield file;
    if (lstatSync(file).isDirectory()) yield* everything(file);
  }
}

function expectInside(inside: string, file: string): void {
  if (!existsSync(file)) return;
  const real = realpathSync(file);
  expect(real === realpathSync(inside) || real.startsWith(`${realpathSync(inside)}/`)).toBe(true);
}
