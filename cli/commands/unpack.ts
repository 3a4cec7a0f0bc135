import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const unpacking = {
  platform: {
    kind: 'value',
    placeholder: 'OS/ARCH',
    summary: 'Which image of a multi-platform one (default: this machine’s)',
  },
  'no-same-owner': { kind: 'switch', summary: 'All files are the caller’s, without setuid and setgid bits' },
  'no-devices': { kind: 'switch', summary: 'Leave device nodes out, which only root can make' },
} as const satisfies FlagTable;

const flags = { ...unpacking, ...registryFlags, ...resultFlags } as const satisfies FlagTable;

export type UnpackFlags = FlagValues<typeof flags>;

export const unpack = defineCommand({
  about:
    'Makes a plain root file system of all layers of an image: owners, modes, times, attributes and hard links as they are, whiteouts applied, nothing outside DIR touched. DIR appears whole; it must not exist yet, or be empty. An ordinary user’s files have the owners that a container of that user’s would see. A place is a name in the store, docker://NAME, oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]; - is an archive from stdin.',
  arguments: [
    { name: 'IMAGE', summary: 'Which image' },
    { name: 'DIR', summary: 'A folder that is new or empty' },
  ],
  flags,
  flagGroups: { Flags: Object.keys(unpacking) as (keyof typeof unpacking)[] },
  examples: [
    { line: 'kiln unpack site:1.2 rootfs', says: 'The files of an image in the store' },
    { line: 'kiln unpack docker://registry.example/site:1.2 rootfs', says: 'Of one in a registry' },
    { line: 'docker save site:1.2 | kiln unpack --no-same-owner - rootfs', says: 'Of an archive, all as one’s own' },
  ],

  async run(context, values, [image = '', folder = '']) {
    const { runUnpack } = await import('../unpack-run.ts');
    return runUnpack(context, values, image, folder);
  },
});
