import type { Command } from './command.ts';

/** A verb as `kiln --help` lists it; its module is loaded when it is asked for. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: 'Images' | 'Registries' | 'Containers' | 'Kiln';
  load(): Promise<Command>;
}

/** Every verb, in the order of `kiln --help`. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'build',
    summary: 'Build an image from a Buildfile',
    group: 'Images',
    load: async () => (await import('./commands/build.ts')).build,
  },
  {
    name: 'check',
    summary: 'Look for mistakes and bad habits in a Buildfile',
    group: 'Images',
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'fmt',
    summary: 'Write Buildfiles in their one layout',
    group: 'Images',
    load: async () => (await import('./commands/fmt.ts')).fmt,
  },
  {
    name: 'images',
    summary: 'List the images in the store',
    group: 'Images',
    load: async () => (await import('./commands/images.ts')).images,
  },
  {
    name: 'inspect',
    summary: 'Show all that is known about images, as JSON',
    group: 'Images',
    load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  {
    name: 'tag',
    summary: 'Give an image another name',
    group: 'Images',
    load: async () => (await import('./commands/tag.ts')).tag,
  },
  {
    name: 'rmi',
    summary: 'Remove names of images, and images that have none left',
    group: 'Images',
    load: async () => (await import('./commands/rmi.ts')).rmi,
  },
  {
    name: 'save',
    summary: 'Write images to an archive',
    group: 'Images',
    load: async () => (await import('./commands/save.ts')).save,
  },
  {
    name: 'load',
    summary: 'Take the images of an archive into the store',
    group: 'Images',
    load: async () => (await import('./commands/load.ts')).load,
  },
  {
    name: 'unpack',
    summary: 'Put the files of an image into a folder',
    group: 'Images',
    load: async () => (await import('./commands/unpack.ts')).unpack,
  },
  {
    name: 'outdated',
    summary: 'Show what of Buildfile.lock is behind',
    group: 'Images',
    load: async () => (await import('./commands/outdated.ts')).outdated,
  },
  {
    name: 'update',
    summary: 'Ask again for what Buildfile.lock holds, and show what moved',
    group: 'Images',
    load: async () => (await import('./commands/update.ts')).update,
  },
  {
    name: 'rebuild',
    summary: 'Keep images patched: check their bases, rebuild what moved',
    group: 'Images',
    load: async () => (await import('./commands/rebuild.ts')).rebuild,
  },
  {
    name: 'diff',
    summary: 'Say what differs between two images: packages, config, layers, files',
    group: 'Images',
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    name: 'stale',
    summary: 'Say whether the bases of images are out of date',
    group: 'Images',
    load: async () => (await import('./commands/stale.ts')).stale,
  },
  {
    name: 'rebase',
    summary: 'Put an image on another state of its base, where that is safe',
    group: 'Images',
    load: async () => (await import('./commands/rebase.ts')).rebase,
  },
  {
    name: 'verify',
    summary: 'Build once more without cache, and name the first difference',
    group: 'Images',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  {
    name: 'explain',
    summary: 'Say why steps of the last build were carried out again',
    group: 'Images',
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    name: 'run',
    summary: 'Run a command in a new container',
    group: 'Containers',
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    name: 'push',
    summary: 'Upload an image to its registry',
    group: 'Registries',
    load: async () => (await import('./commands/push.ts')).push,
  },
  {
    name: 'pull',
    summary: 'Download an image from its registry',
    group: 'Registries',
    load: async () => (await import('./commands/pull.ts')).pull,
  },
  {
    name: 'copy',
    summary: 'Copy an image between registries, layouts, archives and the store',
    group: 'Registries',
    load: async () => (await import('./commands/copy.ts')).copy,
  },
  {
    name: 'artifact',
    summary: 'Push, pull, attach and discover files of any kind',
    group: 'Registries',
    load: async () => (await import('./commands/artifact.ts')).artifact,
  },
  {
    name: 'repo',
    summary: 'List repositories and tags of registries',
    group: 'Registries',
    load: async () => (await import('./commands/repo.ts')).repo,
  },
  {
    name: 'manifest',
    summary: 'Get, put and delete manifests, and put images of several platforms together',
    group: 'Registries',
    load: async () => (await import('./commands/manifest.ts')).manifest,
  },
  {
    name: 'blob',
    summary: 'Get, put and delete the contents that manifests point at',
    group: 'Registries',
    load: async () => (await import('./commands/blob.ts')).blob,
  },
  {
    name: 'digest',
    summary: 'Show which image a name means at the moment',
    group: 'Registries',
    load: async () => (await import('./commands/digest.ts')).digest,
  },
  {
    name: 'login',
    summary: 'Check and save credentials for a registry',
    group: 'Registries',
    load: async () => (await import('./commands/login.ts')).login,
  },
  {
    name: 'logout',
    summary: 'Forget the credentials for a registry',
    group: 'Registries',
    load: async () => (await import('./commands/logout.ts')).logout,
  },
  {
    name: 'serve',
    summary: 'Be a registry that others push to and pull from',
    group: 'Registries',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  {
    name: 'df',
    summary: 'Show what the store takes on disk',
    group: 'Kiln',
    load: async () => (await import('./commands/df.ts')).df,
  },
  {
    name: 'prune',
    summary: 'Remove what can be made again',
    group: 'Kiln',
    load: async () => (await import('./commands/prune.ts')).prune,
  },
  {
    name: 'cache',
    summary: 'List, export, import and delete the caches that steps mount',
    group: 'Kiln',
    load: async () => (await import('./commands/cache.ts')).cache,
  },
  {
    name: 'info',
    summary: 'Show the store, this machine, and how far containers are isolated',
    group: 'Kiln',
    load: async () => (await import('./commands/info.ts')).info,
  },
  {
    name: 'version',
    summary: 'Show the version',
    group: 'Kiln',
    load: async () => (await import('./commands/version.ts')).version,
  },
];

export function findCommand(name: string): CommandEntry | undefined {
  return commandTable.find((entry) => entry.name === name);
}
