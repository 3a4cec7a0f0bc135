import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { resultFlags } from '../result.ts';

const flags = {
  input: {
    kind: 'value',
    short: 'i',
    placeholder: 'FILE',
    summary: 'The archive, or the folder of an OCI layout (default: stdin)',
  },
  platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'Only this image of multi-platform ones' },
  quiet: { kind: 'switch', short: 'q', summary: 'No progress' },
  ...resultFlags,
} as const satisfies FlagTable;

export type LoadFlags = FlagValues<typeof flags>;

export const load = defineCommand({
  about:
    'Takes all images of an archive into the store, under all their names; one without a name is known by its digest. Reads what docker save, podman save, Skopeo, BuildKit and Kiln write, also compressed with gzip or zstd.',
  arguments: [],
  flags,
  examples: [
    { line: 'kiln load -i site.tar', says: 'Out of a file' },
    { line: 'docker save site:1.2 | kiln load', says: 'From Docker' },
  ],

  async run(context, values) {
    const { runLoad } = await import('../load-run.ts');
    return runLoad(context, values);
  },
});
