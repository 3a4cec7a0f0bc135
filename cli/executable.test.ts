import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = path.join(import.meta.dirname, '..', 'bin', 'kiln');

/** A package that has only what bin/kiln looks at; its node is a script that says what it was called with. */
describe('bin/kiln', () => {
  let folder = '';
  let kiln = '';

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'kiln bin-'));
    kiln = path.join(folder, 'app/node_modules/kiln/bin/kiln');
    await mkdir(path.dirname(kiln), { recursive: true });
    await copyFile(script, kiln);
    await write('app/node_modules/kiln/dist/cli.js', '');
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('prefers the node below the package', async () => {
    await fakeNode('app/node_modules/kiln/node_modules/.bin/node', 'v24.1.0');
    await fakeNode('app/node_modules/.bin/node', 'v25.0.0');

    const { stdout } = await call(kiln, ['run', '-e', 'A=b c', 'x']);

    expect(stdout).toBe(`v24.1.0|--|${folder}/app/node_modules/kiln/dist/cli.js|run|-e|A=b c|x|\n`);
  });

  it('finds its package through npx’s symbolic link, and the node beside it', async () => {
    await fakeNode('app/node_modules/.bin/node', 'v24.1.0');
    await symlink('../kiln/bin/kiln', path.join(folder, 'app/node_modules/.bin/kiln'));
    await symlink('app/node_modules/.bin/kiln', path.join(folder, 'link'));

    const { stdout } = await call('./link', ['version'], { cwd: folder });

    expect(stdout).toBe(`v24.1.0|--|${folder}/app/node_modules/kiln/dist/cli.js|version|\n`);
  });

  it('takes the bundle of the command where there is one, and the node that the installation found', async () => {
    await fakeNode('elsewhere/node', 'v24.9.0');
    await write('app/node_modules/kiln/dist/node', `${folder}/elsewhere/node\n`);
    await write('app/node_modules/kiln/dist/build.js', '');

    const { stdout } = await call(kiln, ['build', '.']);

    expect(stdout).toBe(`v24.9.0|--|${folder}/app/node_modules/kiln/dist/build.js|build|.|\n`);
  });

  it('goes on to the node on PATH when the others are too old or do not work', async () => {
    await fakeNode('app/node_modules/kiln/node_modules/.bin/node', 'v20.1.0');
    await write('app/node_modules/.bin/node', 'This file intentionally left blank', 0o755);
    await fakeNode('path/node', 'v26.0.0');

    const { stdout } = await call(kiln, [], { searchPath: path.join(folder, 'path') });

    expect(stdout).toMatch(/^v26\.0\.0\|/);
  });

  it('says what is needed when every node is too old', async () => {
    await fakeNode('path/node', 'v20.20.2');

    const failed = await call(kiln, [], { searchPath: path.join(folder, 'path') });

    expect(failed.code).toBe(5);
    expect(failed.stderr).toContain(`Node 24 or newer is needed, and ${folder}/path/node is v20.20.2`);
    expect(failed.stderr).toContain('hint:');
  });

  it('says so when there is no node', async () => {
    const failed = await call(kiln, []);

    expect(failed).toMatchObject({ code: 5, stderr: expect.stringContaining('there is no node on PATH') });
  });

  it('says so when it was not built', async () => {
    await rm(path.join(folder, 'app/node_modules/kiln/dist'), { recursive: true });

    expect(await call(kiln, [])).toMatchObject({ code: 5, stderr: expect.stringContaining('is not built') });
  });

  it('hands the exit code on', async () => {
    await write(
      'app/node_modules/.bin/node',
      '#!/bin/sh\n[ "$1" = --version ] && echo v24.0.0 && exit\nexit 42\n',
      0o755,
    );

    expect(await call(kiln, [])).toMatchObject({ code: 42 });
  });

  async function write(name: string, text: string, mode = 0o644): Promise<void> {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, mode);
  }

  function fakeNode(name: string, version: string): Promise<void> {
    return write(
      name,
      `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit; fi\nprintf '%s|' ${version} "$@"; echo\n`,
      0o755,
    );
  }

  /** PATH has only what the script itself needs, unless more is said. */
  async function call(file: string, args: string[], options: { cwd?: string; searchPath?: string } = {}) {
    const tools = path.join(folder, 'tools');
    await mkdir(tools, { recursive: true });
    for (const tool of ['readlink', 'dirname']) await symlink(`/usr/bin/${tool}`, path.join(tools, tool));
    const env = { PATH: [options.searchPath, tools].filter(Boolean).join(':') };
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile('/bin/sh', [file, ...args], { cwd: options.cwd, env }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });
  }
});
