import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const flags = {
  only: {
    kind: 'list',
    placeholder: 'SECTION,…',
    summary: 'Compare only these: packages, config, layers, files; may be repeated',
  },
  path: { kind: 'list', placeholder: 'PATH', summary: 'Only files at or below this path; may be repeated' },
  files: { kind: 'switch', summary: 'List every file that differs (default: the first 40)' },
  times: { kind: 'switch', summary: 'Files that differ in nothing but their time count too' },
  deep: { kind: 'switch', summary: 'Read layers that both have even where they have to be downloaded for it' },
  'exit-code': { kind: 'switch', summary: 'End with 11 when the images differ' },
  platform: {
    kind: 'value',
    placeholder: 'OS/ARCH',
    summary: 'Which images of multi-platform ones (default: this machine’s)',
  },
  ...resultFlags,
  ...registryFlags,
} as const satisfies FlagTable;

export type DiffFlags = FlagValues<typeof flags>;

export const diff = defineCommand({
  about:
    'Says what differs between two images: packages of apt, apk and rpm, configuration, layers, files. Nothing is run and nothing is unpacked. An image is a name in the store, or docker://NAME, oci:DIR[:NAME], oci-archive:FILE, docker-archive:FILE.',
  arguments: [
    { name: 'BEFORE', summary: 'The image before' },
    { name: 'AFTER', summary: 'The image after' },
  ],
  flags,
  examples: [
    { line: 'kiln diff shop/app:1.4 shop/app:1.5', says: 'What a new release brings' },
    { line: 'kiln diff --only packages docker://debian:12 debian:12', says: 'Which packages the registry has newer' },
    { line: 'kiln diff --only files --path /etc a b', says: 'What differs in /etc' },
  ],

  async run(context, values, [before = '', after = '']) {
    const { runDiff } = await import('../diff-run.ts');
    return runDiff(context, values, before, after);
  },
});
