import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { compressionFlags } from '../compression-flags.ts';
import { registryFlags } from '../registry-flags.ts';
import { sideFlags } from '../registry-sides.ts';
import { resultFlags } from '../result.ts';

const copying = {
  'all-platforms': { kind: 'switch', summary: 'All images of a multi-platform one (what is done unless said)' },
  all: { kind: 'switch', short: 'a', summary: 'The same as --all-platforms' },
  platform: {
    kind: 'list',
    placeholder: 'OS/ARCH',
    summary: 'Only these images of a multi-platform one; of one alone, that instead of the index',
  },
  recursive: { kind: 'switch', short: 'r', summary: 'Also what refers to the image: signatures, SBOMs' },
  referrers: { kind: 'switch', summary: 'The same as --recursive' },
  'additional-tag': { kind: 'list', short: 't', placeholder: 'TAG', summary: 'One more tag at the destination' },
  'preserve-digests': {
    kind: 'switch',
    summary: 'Fail where the image would become another (it only does so on request)',
  },
  digestfile: { kind: 'value', placeholder: 'FILE', summary: 'Write the digest to a file' },
  concurrency: { kind: 'value', short: 'j', placeholder: 'N', summary: 'Blobs on their way at once (default: 4)' },
  'foreign-layers': {
    kind: 'switch',
    summary: 'Fetch layers that may not be redistributed from their publisher, by https, without credentials',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'No progress' },
} as const satisfies FlagTable;

const compression = {
  ...compressionFlags,
  compression: {
    ...compressionFlags.compression,
    summary:
      'Of layers that are not packed yet: gzip, zstd or none (default: gzip for what leaves the store, else none)',
  },
} as const satisfies FlagTable;

const flags = {
  ...copying,
  ...compression,
  ...registryFlags,
  ...sideFlags('src'),
  ...sideFlags('dest'),
  ...resultFlags,
} as const satisfies FlagTable;

export type CopyFlags = FlagValues<typeof flags>;

export const copy = defineCommand({
  about:
    'Copies an image, whatever it is made of, and prints its digest. Bytes stay as they are, so the digest does; what the destination has is not sent again. A place is docker://NAME or a bare NAME (a registry), oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] (FILE may be -), or kiln:NAME (the store).',
  arguments: [
    { name: 'SRC', summary: 'Where the image is' },
    { name: 'DEST', summary: 'Where it shall be' },
  ],
  flags,
  flagGroups: {
    Flags: Object.keys(copying) as (keyof typeof copying)[],
    Compression: Object.keys(compression) as (keyof typeof compression)[],
  },
  examples: [
    { line: 'kiln copy registry.example/site:1.2 mirror.example/site:1.2', says: 'From one registry to another' },
    { line: 'kiln copy docker://registry.example/site:1.2 oci:layout:1.2', says: 'Into a folder' },
    { line: 'kiln copy kiln:site:1.2 docker-archive:site.tar:site:1.2', says: 'What docker load reads' },
  ],

  async run(context, values, [source = '', destination = '']) {
    const { runCopy } = await import('../copy-run.ts');
    return runCopy(context, values, source, destination);
  },
});
