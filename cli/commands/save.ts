import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { compressionFlags } from '../compression-flags.ts';

const flags = {
  output: {
    kind: 'value',
    short: 'o',
    placeholder: 'FILE',
    summary: 'Where it goes (default: stdout, when it is piped)',
  },
  format: {
    kind: 'value',
    placeholder: 'FORMAT',
    choices: ['docker-archive', 'oci-archive', 'oci-dir'],
    summary: 'docker-archive (default), oci-archive, or oci-dir, a folder',
  },
  platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'Which image of a multi-platform one' },
  ...compressionFlags,
  compression: {
    ...compressionFlags.compression,
    summary: 'How layers that were built here are packed: gzip, zstd or none (default: none, so that digests stay)',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'No progress' },
  json: { kind: 'switch', summary: 'With -o FILE, print what was saved as JSON, one object per image; errors as such' },
} as const satisfies FlagTable;

export type SaveFlags = FlagValues<typeof flags>;

export const save = defineCommand({
  about:
    'Writes images of the store, several into one archive. docker load, podman load and kiln load read all three formats but oci-dir, which docker does not. A docker-archive holds images of one platform (default: this machine’s), the others all. NAME may also be a place: docker://NAME, oci:DIR[:NAME].',
  arguments: [{ name: 'NAME', summary: 'Names, or digests as kiln images shows them', many: true }],
  flags,
  examples: [
    { line: 'kiln save -o site.tar site:1.2 worker:1.2', says: 'Two images in one archive' },
    { line: 'kiln save site | ssh host podman load', says: 'Take an image to another machine' },
  ],

  async run(context, values, names) {
    const { runSave } = await import('../save-run.ts');
    return runSave(context, values, names);
  },
});
