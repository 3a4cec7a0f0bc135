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
  save: 'kiln build -o type=docker,dest=FILE writes an archive, kiln push takes an image to a registry',
  load: 'an unpacked layout is built on with from = "oci:PATH"; kiln pull takes an image from a registry',
  export: 'kiln build -o type=tar,dest=FILE writes the files of an image',
  import: 'a Buildfile makes images: from = "scratch" and a copy of the files',
  commit: 'a Buildfile makes images: write down as a step what was done',
};
