import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openAccount } from '../account.ts';
import { isRoot } from '../requirements.ts';

const packageRoot = path.dirname(path.dirname(import.meta.dirname));

it.each([
  ['kiln/builder', 'buildImages'],
  ['kiln/registry', 'copyImage'],
  ['kiln/runtime', 'openLauncher'],
  ['kiln/rebuild', 'checkImages'],
])('%s is a library with %s, and with types', async (entry, name) => {
  await using account = openAccount(isRoot() ? 'root' : 'unprivileged');
  const script = `console.log(typeof (await import('${entry}')).${name})`;

  const outcome = await account.run([process.execPath, '--input-type=module', '--eval', script], { cwd: packageRoot });

  expect(outcome).toEqual({ status: 0, stdout: 'function\n', stderr: '' });
  const types = path.join(packageRoot, 'dist', 'types', entry.slice('kiln/'.length), 'index.d.ts');
  expect(readFileSync(types, 'utf8')).toContain(name);
});
