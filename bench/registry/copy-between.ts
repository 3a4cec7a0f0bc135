import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeManyFiles } from '../engine/workloads.ts';
import { timed } from '../shell.ts';
import type { Command } from '../tool.ts';
import { openRegistry, type Workspace } from '../workspace.ts';
import { usageOfAll } from './usage-of-all.ts';

const kilnProgram = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');

export const copyTools = ['kiln', 'skopeo'] as const;
export type CopyTool = (typeof copyTools)[number];

/** Copy of Debian and 20,000 files between two registries, without unpacking; the second one is empty each time. */
export async function prepareCopyBetween(place: { readonly workspace: Workspace }) {
  const { folder } = place.workspace;
  const [from, to] = ['copy-from', 'copy-to'].map((name) => path.join(folder, name)) as [string, string];
  for (const made of [from, to]) mkdirSync(made);
  const source = await openRegistry(from);
  const destination = await openRegistry(to);
  const image = `${source.host}/debian-and-files:1`;
  const context = path.join(folder, 'copied-files');
  writeManyFiles(path.join(context, 'data'));
  writeFileSync(
    path.join(context, 'Buildfile'),
    'from = "bootstrap:debian/bookworm"\nsteps = [{ copy = "data", to = "/data/" }]\n',
  );
  const env = { KILN_HOME: path.join(folder, 'copy-store') };
  await timed({ argv: [kilnProgram, 'build', '--no-lock', '-q', '--push', '-t', image, context], env });

  return {
    measure(tool: CopyTool) {
      destination.empty();
      return usageOfAll([commandOf(tool, image, `${destination.host}/copied:1`, env)]);
    },
    async [Symbol.asyncDispose]() {
      await destination[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

function commandOf(tool: CopyTool, from: string, to: string, env: Command['env']): Command {
  const insecure = ['--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false'];
  return tool === 'kiln'
    ? { argv: [kilnProgram, 'copy', '-q', from, to], env }
    : { argv: ['skopeo', 'copy', '-q', ...insecure, `docker://${from}`, `docker://${to}`], env: {} };
}
