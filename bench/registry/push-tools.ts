import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { output, timed } from '../shell.ts';
import type { Command } from '../tool.ts';
import type { Workspace } from '../workspace.ts';

export const pushTools = ['kiln', 'skopeo', 'buildah'] as const;
export type PushToolName = (typeof pushTools)[number];
export type PushCompression = 'gzip' | 'zstd';

/** What pushes images. */
export interface PushTool {
  /** Gets an image of a build context, so that it can be pushed. Not timed. */
  load(context: string, image: string): Promise<void>;
  /** Undefined when it cannot. */
  push(image: string, compression: PushCompression): Command | undefined;
  /** Forgets what it compressed before. Not timed. */
  forget(): Promise<void>;
}

const kilnProgram = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');
const blobCache = '/var/lib/containers/cache/blob-info-cache-v1.boltdb';

export function openPushTool(workspace: Workspace, name: PushToolName, purpose: string): PushTool {
  const folder = path.join(workspace.folder, `${name}-${purpose}`);
  mkdirSync(folder);
  return { kiln: openKiln, skopeo: openSkopeo, buildah: openBuildah }[name](folder);
}

function kilnCommand(home: string, ...args: readonly string[]): Command {
  return { argv: [kilnProgram, ...args], env: { KILN_HOME: home, CI: '' } };
}

function openKiln(folder: string): PushTool {
  return {
    async load(context, image) {
      await timed(kilnCommand(folder, 'build', '--no-lock', '-q', '-t', image, context));
    },
    push: (image, compression) => kilnCommand(folder, 'push', '-q', '--compression', compression, image),
    async forget() {
      const records = path.join(folder, 'records');
      await output('rm', '-rf', path.join(records, 'compressed-v2'), path.join(records, 'blob-places-v1'));
    },
  };
}

/** From an OCI layout with plain layers, which kiln writes. */
function openSkopeo(folder: string): PushTool {
  const layout = path.join(folder, 'layout');
  return {
    async load(context) {
      const destination = `type=oci,tar=false,dest=${layout}`;
      await timed(kilnCommand(path.join(folder, 'store'), 'build', '--no-lock', '-q', '-o', destination, context));
    },
    push: (image, compression) => ({
      argv: [
        ...['skopeo', '--insecure-policy', 'copy', '-q', '--dest-tls-verify=false', '--dest-compress'],
        ...['--dest-compress-format', compression, `oci:${layout}`, `docker://${image}`],
      ],
      env: {},
    }),
    forget: async () => void (await output('rm', '-f', blobCache)),
  };
}

function openBuildah(folder: string): PushTool {
  const command = (...args: readonly string[]): Command => ({
    argv: [
      ...['buildah', '--root', path.join(folder, 'root'), '--runroot', path.join(folder, 'runroot')],
      ...['--storage-driver', 'vfs', ...args],
    ],
    env: { BUILDAH_ISOLATION: 'chroot' },
  });
  return {
    async load(context, image) {
      await timed(command('build', '-q', '-t', image, context));
    },
    // Debian 12's has no flag for it.
    push: (image, compression) =>
      compression === 'gzip' ? command('push', '-q', '--tls-verify=false', image) : undefined,
    forget: async () => void (await output('rm', '-f', blobCache)),
  };
}
