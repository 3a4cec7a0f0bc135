import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const kiln = path.join(import.meta.dirname, '../../bin/kiln');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kiln-command-line-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function shell(script: string): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, KILN: kiln, KILN_HOME: path.join(folder, 'home') };
  return spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8' });
}

describe('the command line', () => {
  it('leaves no flag to Node, which has some of the same name', () => {
    writeFileSync(path.join(folder, 'evil.js'), 'require("node:fs").writeFileSync("pwned", "")');
    writeFileSync(path.join(folder, 'evil.env'), `NODE_OPTIONS=--require=${folder}/evil.js\n`);

    const missing = shell('"$KILN" run --env-file nothing-here image true');
    const hostile = shell('"$KILN" run --pull never --env-file evil.env image true; ls pwned');

    expect(missing).toMatchObject({ status: 125, stderr: expect.stringContaining('--env-file nothing-here') });
    expect(hostile.stdout).toBe('');
  });

  it('fails when its output cannot be written', () => {
    expect(shell('"$KILN" images > /dev/full')).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('the output could not be written (ENOSPC)'),
    });
  });

  it('does not mind a reader that has seen enough', () => {
    expect(shell('set -o pipefail; "$KILN" --help | head -n 1')).toMatchObject({ status: 0, stderr: '' });
  });
});
