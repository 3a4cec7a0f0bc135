import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  all: { kind: 'switch', short: 'a', summary: 'Everything that can be made again' },
  'max-size': {
    kind: 'value',
    placeholder: 'SIZE',
    summary:
      'What was used longest ago, until the whole store takes no more on disk: 20g. Read in powers of 1024; sizes are printed in powers of 1000, as Docker does both',
  },
  'older-than': { kind: 'value', placeholder: 'TIME', summary: 'What was not used for so long: 36h, 7d' },
  filter: { kind: 'list', placeholder: 'until=TIME', summary: 'As --older-than' },
  'dry-run': { kind: 'switch', summary: 'Only say what would be removed' },
  force: { kind: 'switch', short: 'f', summary: 'Nothing is asked anyway: for fingers that know Docker' },
  verbose: { kind: 'switch', short: 'v', summary: 'Name each thing that is removed' },
  json: { kind: 'switch', summary: 'Print one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type PruneFlags = FlagValues<typeof flags>;

export const prune = defineCommand({
  about:
    'Removes what can be made again: without flags, what nothing refers to; with flags, cached results of steps, unpacked layers and caches too. Images with names stay, and so does what a build or container is using. Ends with 5 when the store still takes more than --max-size.',
  arguments: [],
  flags,
  examples: [
    { line: 'kiln prune --max-size 20g', says: 'Keep the store below 20 GiB' },
    { line: 'kiln prune --all --dry-run', says: 'What would that free?' },
  ],

  async run(context, values) {
    const { runPrune } = await import('../prune-run.ts');
    return runPrune(context, values);
  },
});
