import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { missing } from '../test/requirements.ts';
import { makeHome } from './store.ts';

describe.skipIf(missing('root'))('currentUser', () => {
  it('is a number without a home where the user database has no entry', async () => {
    const script = `
      const { currentUser } = await import(${JSON.stringify(path.join(import.meta.dirname, 'paths.ts'))});
      process.setuid(54321);
      process.stdout.write(JSON.stringify(currentUser()));
    `;

    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);

    expect(JSON.parse(stdout)).toEqual({ uid: 54321, home: '/' });
  });
});

describe('makeHome', () => {
  it('ends where the kernel will never make a folder', async () => {
    await expect(makeHome('/proc/no/such')).rejects.toMatchObject({ code: 'ENVIRONMENT_STORE_UNWRITABLE' });
  });

  it('makes what is missing on the way, and takes what is there', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'kiln-home-'));
    try {
      const home = path.join(folder, 'a', 'b');
      await makeHome(home);
      await makeHome(home);

      expect((await stat(home)).mode & 0o777).toBe(0o700);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
