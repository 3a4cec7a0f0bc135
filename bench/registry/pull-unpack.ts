import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeManyFiles } from '../engine/workloads.ts';
import { timed } from '../shell.ts';
import type { Command } from '../tool.ts';
import type { Registry, Workspace } from '../workspace.ts';
import { usageOfAll } from './usage-of-all.ts';

const kilnProgram = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');

export const pullUnpackTools = ['kiln', 'skopeo and umoci', 'podman'] as const;
export type PullUnpackTool = (typeof pullUnpackTools)[number];

/** Pull and unpack of Debian and 20,000 files, gzip layers, into a store that has nothing. */
export async function preparePullUnpack(place: { readonly workspace: Workspace; readonly registry: Registry }) {
  const { workspace, registry } = place;
  const image = `${registry.host}/debian-and-files:1`;
  const context = path.join(workspace.folder, 'debian-and-files');
  writeManyFiles(path.join(context, 'data'));
  writeFileSync(
    path.join(context, 'Buildfile'),
    'from = "bootstrap:debian/bookworm"\nsteps = [{ copy = "data", to = "/data/" }]\n',
  );
  const env = { KILN_HOME: path.join(workspace.folder, 'pull-unpack-store') };
  await timed({ argv: [kilnProgram, 'build', '--no-lock', '-q', '--push', '-t', image, context], env });
  let count = 0;

  return (tool: PullUnpackTool) => {
    const folder = path.join(workspace.folder, `pull-unpack-${count++}`);
    mkdirSync(folder);
    return usageOfAll(commandsOf(tool, image, folder));
  };
}

function commandsOf(tool: PullUnpackTool, image: string, folder: string): Command[] {
  switch (tool) {
    case 'kiln':
      return [{ argv: [kilnProgram, 'pull', '-q', '--unpack', image], env: { KILN_HOME: folder } }];
    case 'skopeo and umoci': {
      const layout = `${folder}/layout:image`;
      const policy = ['--insecure-policy', '--src-tls-verify=false'];
      return [
        { argv: ['skopeo', 'copy', '-q', ...policy, `docker://${image}`, `oci:${layout}`], env: {} },
        { argv: ['umoci', 'unpack', '--image', layout, `${folder}/bundle`], env: {} },
      ];
    }
    case 'podman': {
      const storage = ['--root', `${folder}/s`, '--runroot', `${folder}/r`, '--storage-driver', 'overlay'];
      return [{ argv: ['podman', ...storage, 'pull', '-q', '--tls-verify=false', image], env: {} }];
    }
  }
}
