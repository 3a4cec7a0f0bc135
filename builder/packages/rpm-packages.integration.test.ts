import { execFile } from 'node:child_process';
import { copyFile, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { findProgram, mustSkip } from '../../test/requirements.ts';
import { readRpmSqlite } from './rpm-packages.ts';

const needs = findProgram('rpmbuild') === undefined ? ['rpmbuild is not installed (Debian: apt-get install rpm)'] : [];

describe('readRpmSqlite', () => {
  it.skipIf(mustSkip(needs))('reads what rpm itself wrote', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-rpm-'));
    const run = promisify(execFile);
    const spec = path.join(folder.path, 'hello.spec');
    const lines = [
      'Name: hello',
      'Version: 1.2',
      'Release: 3',
      'Epoch: 4',
      'Summary: x',
      'License: none',
      'BuildArch: noarch',
    ];
    await writeFile(spec, [...lines, '%description', 'x', '%files', ''].join('\n'));
    await run('rpmbuild', ['--define', `_topdir ${folder.path}`, '--define', `_rpmdir ${folder.path}`, '-bb', spec]);
    const database = path.join(folder.path, 'db');
    const built = path.join(folder.path, 'noarch', 'hello-1.2-3.noarch.rpm');
    const own = ['--define', '_db_backend sqlite', '--dbpath', database];
    await run('rpm', [...own, '--initdb']);
    await run('rpm', [...own, '--install', '--nodeps', '--justdb', '--force', '--force-debian', built]);
    const copy = path.join(folder.path, 'rpmdb.sqlite');
    for (const ending of ['', '-wal']) await copyFile(path.join(database, `rpmdb.sqlite${ending}`), `${copy}${ending}`);

    expect(readRpmSqlite(copy)).toEqual([{ name: 'hello', version: '4:1.2-3', architecture: 'noarch', hash: '' }]);
  });
});
