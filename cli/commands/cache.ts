import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  output: { kind: 'value', short: 'o', placeholder: 'FILE', summary: 'export: where the archive goes; - is stdout' },
  'max-size': {
    kind: 'value',
    placeholder: 'SIZE',
    summary: 'export: leave out what was not used for longest beyond this; import: refuse more: 500m, 2g',
  },
  json: { kind: 'switch', summary: 'Print one JSON object per cache and line, and errors as such' },
} as const satisfies FlagTable;

export type CacheFlags = FlagValues<typeof flags>;

export const cache = defineCommand({
  about:
    'The folders that steps mount with { cache = … }: they are kept from build to build, outside of images. export writes those with the given IDs, or all, as one tar, which import takes on another machine, as root or not, compressed by gzip or zstd or as it is. rm deletes them.',
  arguments: [
    { name: 'ACTION', summary: 'ls, export, import or rm' },
    {
      name: 'ID',
      summary: 'A cache: its id, else its folder; of import, the archive, or -',
      optional: true,
      many: true,
    },
  ],
  flags,
  examples: [
    { line: 'kiln cache ls', says: 'Which caches there are' },
    { line: 'kiln cache export -o caches.tar --max-size 2g', says: 'Keep them for the next CI job' },
    { line: 'kiln cache import caches.tar', says: 'And take them in that' },
    { line: 'kiln cache rm /root/.npm', says: 'Begin anew' },
  ],

  async run(context, values, [action = '', ...ids]) {
    const { runCache } = await import('../cache-run.ts');
    return runCache(context, values, action, ids);
  },
});
