/** What fingers that know Docker type, by verb and flag, and what Kiln has instead. */
export const flagHabits: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  run: {
    '-d': 'containers run in the foreground: end the command with & or let a service manager run it',
    '--detach': 'containers run in the foreground: end the command with & or let a service manager run it',
    '-p': 'ports are not forwarded: --network host gives the container this machine’s own',
    '--publish': 'ports are not forwarded: --network host gives the container this machine’s own',
    '--name': 'a container is gone when its command ends, and has no name; --hostname names its host',
    '-m': 'containers have no limits of their own; give kiln one: systemd-run --scope -p MemoryMax=512M kiln run …',
    '--memory':
      'containers have no limits of their own; give kiln one: systemd-run --scope -p MemoryMax=512M kiln run …',
    '--cpus': 'containers have no limits of their own; give kiln one: systemd-run --scope -p CPUQuota=150% kiln run …',
    '--restart': 'nothing starts a container again: let a service manager run kiln run',
  },
  build: {
    '--rm': 'leave it away: no container stays after a step',
    '--force-rm': 'leave it away: no container stays after a step',
    '--load': 'leave it away: results are always in the store',
    '--add-host': 'names are those of the network: --network host sees what this machine sees',
  },
  copy: {
    '--multi-arch': 'leave it away: all platforms are copied unless --platform says which',
    '--jobs': 'write --concurrency',
    '--image-parallel-copies': 'write --concurrency',
    '--retry-times': 'leave it away: what may pass is tried again',
    '--dest-compress': 'write --compression gzip',
    '--dest-compress-format': 'write --compression',
    '--dest-compress-level': 'write --compression-level',
    '--from-oci-layout': 'write the source as oci:DIR:NAME',
    '--to-oci-layout': 'write the destination as oci:DIR:NAME',
  },
  save: {
    '-m': 'leave it away: an archive takes any number of images',
    '--multi-image-archive': 'leave it away: an archive takes any number of images',
  },
  // Docker lists intermediate images with it.
  images: { '-a': 'leave it away: every image is listed', '--all': 'leave it away: every image is listed' },
};

/** The same for verbs. */
export const verbHabits: Readonly<Record<string, string>> = {
  ps: 'no container outlives its kiln run: the processes of this machine show them',
  exec: 'no container outlives its kiln run: start a shell with kiln run --rm -it IMAGE sh',
  logs: 'kiln run prints what its container prints: send it to a file',
  stop: 'no container outlives its kiln run: end that',
  rm: 'containers are gone when they end; kiln rmi removes images',
  history: 'kiln inspect IMAGE shows the history',
  system: 'kiln df shows what the store takes, kiln prune frees it',
  image: 'kiln images, kiln inspect, kiln rmi and kiln prune',
  buildx: 'kiln build has what buildx has: --platform, --cache-to, --output',
  builder: 'kiln prune frees the cache, kiln cache has the cache mounts',
  export: 'kiln unpack IMAGE DIR makes the files of an image, kiln build -o type=tar,dest=FILE an archive of them',
  cp: 'kiln unpack IMAGE DIR makes all files of an image; kiln copy copies images',
  sync: 'kiln copy copies one image; a loop over kiln repo tags copies them all',
  import: 'a Buildfile makes images: from = "scratch" and a copy of the files',
  commit: 'a Buildfile makes images: write down as a step what was done',
  // What fingers know of oras, crane and regctl.
  attach: 'kiln artifact attach gives an image files that refer to it; a container cannot be attached to',
  discover: 'kiln artifact discover shows what refers to an image',
  catalog: 'kiln repo ls lists the repositories of a registry',
  ls: 'kiln repo tags lists the tags of a repository, kiln images what is in the store',
  resolve: 'kiln digest says which image a name means',
  delete: 'kiln manifest rm deletes a tag or an image of a registry, kiln rmi one of the store',
};
