import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { resultFlags } from '../result.ts';

const flags = {
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the digests' },
  'no-trunc': { kind: 'switch', summary: 'Print digests in full' },
  digests: { kind: 'switch', summary: 'Add a column with the manifest digests' },
  ...resultFlags,
} as const satisfies FlagTable;

export type ImagesFlags = FlagValues<typeof flags>;

export const images = defineCommand({
  about: 'Without NAME all images that have a name. SIZE is what the layers take in the store.',
  arguments: [{ name: 'NAME', summary: 'Only this repository, or this one name', optional: true }],
  flags,
  examples: [
    { line: 'kiln images -q --no-trunc', says: 'Only the digests, in full' },
    { line: "kiln images --format '{{.repository}}:{{.tag}}'", says: 'Names alone' },
  ],

  async run(context, values, [name]) {
    const { listImages } = await import('../image-list.ts');
    return listImages(context, values, name);
  },
});
