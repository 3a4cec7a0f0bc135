import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  verbose: { kind: 'switch', short: 'v', summary: 'Every single thing, what was used last at the end' },
  json: { kind: 'switch', summary: 'Print one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type DfFlags = FlagValues<typeof flags>;

export const df = defineCommand({
  about:
    'What the store takes on disk, by kind: real blocks, files with several names once. RECLAIMABLE is what kiln prune --all would free.',
  arguments: [],
  flags,
  examples: [{ line: 'kiln df', says: 'Where has the space gone?' }],

  async run(context, values) {
    const { runDf } = await import('../prune-run.ts');
    return runDf(context, values);
  },
});
