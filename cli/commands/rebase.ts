import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const flags = {
  tag: { kind: 'value', short: 't', placeholder: 'NEW', summary: 'Name of the rebased image (default: that of IMAGE)' },
  'old-base': {
    kind: 'value',
    placeholder: 'NAME',
    summary: 'What the image lies on (default: what it says itself); kiln:NAME is in the store',
  },
  'new-base': {
    kind: 'value',
    placeholder: 'NAME',
    summary: 'What it is to lie on (default: what the name of its base means now); kiln:NAME is in the store',
  },
  check: { kind: 'switch', summary: 'Write nothing; end with 10 when a rebase is due and safe' },
  platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'Only this image of a multi-platform one' },
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the digest' },
  ...resultFlags,
  ...registryFlags,
} as const satisfies FlagTable;

export type RebaseFlags = FlagValues<typeof flags>;

export const rebase = defineCommand({
  about:
    'Exchanges the layers of the base below an image for those that the base has now; the image’s own layers stay as they are. It is checked first, and refused, with 11 and all the reasons, when it would not give what a build gives: when the image changed files that the new base changed too, has packages of its own, or took over configuration that changes, or when the base is another release. Images at registries are rebased there, without a download into the store.',
  arguments: [{ name: 'IMAGE', summary: 'A name in the store, or docker://NAME, oci:DIR[:NAME]' }],
  flags,
  examples: [
    { line: 'kiln rebase shop/app:1.4', says: 'Bring the patched base below an image of the store' },
    { line: 'kiln rebase docker://registry.example/api:2 -t registry.example/api:2-patched', says: 'At a registry' },
    {
      line: 'kiln rebase --old-base debian:12.1 --new-base debian:12.2 app',
      says: 'For an image that does not say its base',
    },
  ],

  async run(context, values, [image = '']) {
    const { runRebase } = await import('../rebase-run.ts');
    return runRebase(context, values, image);
  },
});
