// Run by apply.integration.test.ts inside a user namespace: applies tars and says what became of them.
import { createReadStream, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import { isRoot } from '../../test/requirements.ts';
import { openLauncher } from '../launcher.ts';
import { applyLayer } from './apply.ts';
import { changesOf } from './changes.ts';
import { tarOf } from './odd-layers.testing.ts';

if (!isRoot()) throw new TypeError('this is for user namespaces');
const launcher = await openLauncher();
const [folder = '', ...names] = process.argv.slice(2);
for (const name of names) process.stdout.write(`${name} ${await outcome(name)}\n`);

async function outcome(name: string): Promise<string> {
  const tar = path.join(folder, `${name}.tar`);
  const root = path.join(folder, name);
  mkdirSync(root);
  try {
    const { skipped } = await applyLayer(launcher, createReadStream(tar), root, { userXattrs: true });
    if (skipped.length > 0) return `skipped ${skipped.join(' ')}`;
  } catch (error) {
    if (error instanceof ToolError) return `${error.code} ${error.hint}`;
    throw error;
  }
  return (await tarOf(changesOf(launcher, root))).equals(readFileSync(tar)) ? 'the same' : 'different';
}
