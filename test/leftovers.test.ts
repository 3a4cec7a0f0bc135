import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leftovers, processesOf } from './leftovers.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'leftovers-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('leftovers', () => {
  it('is empty for an empty folder', () => {
    expect(leftovers(folder)).toEqual([]);
  });

  it('names a file', () => {
    writeFileSync(path.join(folder, 'forgotten'), '');

    expect(leftovers(folder)).toEqual([`file ${folder}/forgotten`]);
  });

  it.each([
    ['works in the folder', () => ({ cwd: folder, env: {} })],
    ['was started with the folder as TMPDIR', () => ({ cwd: '/', env: { TMPDIR: folder } })],
  ])('names a process that %s, until it ends', async (_, options) => {
    const child = spawn('/bin/sleep', ['60'], { ...options(), stdio: 'ignore' });
    await once(child, 'spawn');

    expect(processesOf(folder)).toEqual([`process ${child.pid} /bin/sleep 60`]);

    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(processesOf(folder)).toEqual([]);
  });
});
