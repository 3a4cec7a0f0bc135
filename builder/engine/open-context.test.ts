import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBuildContext } from './open-context.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-context-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(...files: readonly string[]): Promise<void> {
  for (const file of files) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), `${path.basename(file)}\n`);
  }
}

describe('openBuildContext', () => {
  it('reads the Buildfile of the context', async () => {
    await put('site/Buildfile');

    expect(await openBuildContext('site', { workingFolder: folder })).toMatchObject({
      contextFolder: path.join(folder, 'site'),
      buildfileText: 'Buildfile\n',
      buildfileName: 'site/Buildfile',
      buildfileFolder: path.join(folder, 'site'),
    });
  });

  it('reads another file, found from the working folder and not from the context', async () => {
    await put('site/Buildfile', 'files/Other');

    expect(await openBuildContext('site', { file: 'files/Other', workingFolder: folder })).toMatchObject({
      buildfileText: 'Other\n',
      buildfileFolder: path.join(folder, 'files'),
    });
  });

  it('shows the full path of what is not below the working folder', async () => {
    await put('site/Buildfile', 'elsewhere/x');

    const { buildfileName } = await openBuildContext(path.join(folder, 'site'), {
      workingFolder: path.join(folder, 'elsewhere'),
    });

    expect(buildfileName).toBe(path.join(folder, 'site/Buildfile'));
  });

  it('leaves the lock file out of the context, unless the ignore file takes it in', async () => {
    await put('Buildfile', '[odd]*');
    const { ignore } = await openBuildContext(folder);
    const odd = await openBuildContext(folder, { file: '[odd]*' });
    await writeFile(path.join(folder, '.buildignore'), '\ufeffsecret\n!Buildfile.lock\n');
    const taken = await openBuildContext(folder);

    expect(['Buildfile', 'Buildfile.lock', 'sub/Buildfile.lock'].filter(ignore.isIgnored)).toEqual(['Buildfile.lock']);
    expect(['[odd]*.lock', 'oddx.lock', 'Buildfile.lock'].filter(odd.ignore.isIgnored)).toEqual(['[odd]*.lock']);
    expect(['secret', 'Buildfile.lock'].filter(taken.ignore.isIgnored)).toEqual(['secret']);
  });

  // Every ignore file here ignores a file of its own name.
  it.each([
    ['Buildfile.ignore', ['Buildfile.ignore', '.buildignore', '.dockerignore']],
    ['.buildignore', ['.buildignore', '.dockerignore']],
    ['.dockerignore', ['.dockerignore']],
  ])('takes %s as ignore file and none of those after it', async (expected, present) => {
    await put('Buildfile', ...present);

    const { ignore } = await openBuildContext(folder);

    const names = ['Buildfile.ignore', '.buildignore', '.dockerignore'];
    expect(names.filter((name) => ignore.isIgnored(name))).toEqual([expected]);
  });

  it('looks for <Buildfile>.ignore beside a Buildfile that is elsewhere', async () => {
    await put('site/.buildignore', 'files/Other', 'files/Other.ignore', 'site/Other.ignore');

    const { ignore } = await openBuildContext('site', { file: 'files/Other', workingFolder: folder });

    expect([ignore.isIgnored('Other.ignore'), ignore.isIgnored('.buildignore')]).toEqual([true, false]);
  });

  it('ignores nothing without an ignore file', async () => {
    await put('Buildfile');

    expect((await openBuildContext(folder)).ignore.isIgnored('Buildfile')).toBe(false);
  });

  it.each([
    ['a context that is not there', 'CONTEXT_NOT_FOUND', 'the context "none" does not exist', 'none'],
    ['a context that is a file', 'CONTEXT_NOT_FOUND', 'the context "file" is not a folder', 'file'],
    ['a context without a Buildfile', 'BUILDFILE_NOT_FOUND', 'there is no Buildfile in empty', 'empty'],
    ['a folder in the place of the Buildfile', 'BUILDFILE_NOT_FOUND', 'odd/Buildfile is a folder', 'odd'],
  ])('refuses %s', async (_, code, message, context) => {
    await put('file', 'empty/x', 'odd/Buildfile/x');

    await expect(openBuildContext(context, { workingFolder: folder })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('says that a Dockerfile is not read', async () => {
    await put('site/Dockerfile');

    await expect(openBuildContext('site', { workingFolder: folder })).rejects.toMatchObject({
      code: 'BUILDFILE_NOT_FOUND',
      hint: expect.stringContaining('Kiln does not read Dockerfiles'),
    });
  });

  it('names the ignore file that has a wrong pattern', async () => {
    await put('Buildfile');
    await writeFile(path.join(folder, '.buildignore'), 'a\n[\n');

    await expect(openBuildContext(folder)).rejects.toMatchObject({
      code: 'IGNORE_INVALID',
      message: expect.stringMatching(/^\.buildignore: /),
    });
  });

  it.each(['-', 'https://example.org/x.git'])('says that %s is no context yet', async (context) => {
    await expect(openBuildContext(context)).rejects.toMatchObject({ code: 'CONTEXT_UNSUPPORTED' });
  });

  it('refuses a Buildfile that is a symlink to a file elsewhere, and follows others', async () => {
    await put('secret', 'site/files/Other');
    await symlink('../secret', path.join(folder, 'site/Buildfile'));
    await symlink('files/Other', path.join(folder, 'site/Inside'));
    await symlink('Itself', path.join(folder, 'site/Itself'));
    const open = (file: string) => openBuildContext('site', { file, workingFolder: folder });

    await expect(open('site/Buildfile')).rejects.toMatchObject({ code: 'BUILDFILE_OUTSIDE' });
    await expect(open('site/Itself')).rejects.toMatchObject({ code: 'BUILDFILE_NOT_FOUND' });
    expect(await open('site/Inside')).toMatchObject({ buildfileText: 'Other\n' });
  });

  it('shows no line of an ignore file that is a symlink to a file elsewhere', async () => {
    await put('site/Buildfile');
    await writeFile(path.join(folder, 'secret'), '[hunter2\n');
    await symlink('../secret', path.join(folder, 'site/.buildignore'));

    const opening = openBuildContext('site', { workingFolder: folder });

    await expect(opening).rejects.toMatchObject({ code: 'IGNORE_INVALID' });
    await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') });
  });

  it('refuses a huge Buildfile unread', async () => {
    await writeFile(path.join(folder, 'Buildfile'), Buffer.alloc(1024 * 1024 + 1));

    await expect(openBuildContext(folder)).rejects.toMatchObject({ code: 'BUILDFILE_TOO_BIG' });
  });
});
