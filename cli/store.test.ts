import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { missing } from '../test/requirements.ts';

describe.skipIf(missing('root'))('currentUser', () => {
  it('is a number without a home where the user database has no entry', async () => {
    const script = `
      const { currentUser } = await import(${JSON.stringify(path.join(import.meta.dirname, 'store.ts'))});
      process.setuid(54321);
      process.stdout.write(JSON.stringify(currentUser()));
    `;

    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);

    expect(JSON.parse(stdout)).toEqual({ uid: 54321, home: '/' });
  });
});
