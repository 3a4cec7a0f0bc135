import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const flags = {
  base: { kind: 'value', placeholder: 'NAME', summary: 'What the images lie on, whatever they say themselves' },
  packages: { kind: 'switch', summary: 'Say which packages differ between old and new base, which takes reading both' },
  platform: {
    kind: 'value',
    placeholder: 'OS/ARCH',
    summary: 'Which images of multi-platform ones (default: this machine’s)',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the names of images whose base moved' },
  ...resultFlags,
  ...registryFlags,
} as const satisfies FlagTable;

export type StaleFlags = FlagValues<typeof flags>;

export const stale = defineCommand({
  about:
    'Asks the registry what the name of each image’s base means now, and compares it with what the image says it was built on (org.opencontainers.image.base.name and .digest); an image that has no digest is compared by its layers. Ends with 10 when a base moved. A base that cannot be asked for is told and does not keep the others back.',
  arguments: [
    { name: 'IMAGE', summary: 'A name in the store, or docker://NAME, oci:DIR[:NAME], an archive', many: true },
  ],
  flags,
  examples: [
    { line: 'kiln stale shop/app:1.4 docker://registry.example/api:2', says: 'Are their bases out of date?' },
    { line: 'kiln stale --packages shop/app:1.4', says: 'And what has the new base that the old one has not?' },
    { line: 'kiln stale --base debian:12 old/image', says: 'For an image that does not say what it lies on' },
  ],

  async run(context, values, names) {
    const { runStale } = await import('../stale-run.ts');
    return runStale(context, values, names);
  },
});
