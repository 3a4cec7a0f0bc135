import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  check: { kind: 'switch', summary: 'Change nothing; end with 11 when a file is not formatted' },
  json: { kind: 'switch', summary: 'Print one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type FmtFlags = FlagValues<typeof flags>;

export const fmt = defineCommand({
  about:
    'Writes Buildfiles in their one layout. Comments, the order of steps and keys, and scripts stay as they are; nothing of what a file says changes. The names of changed files are printed. When one file cannot be formatted, none is written.',
  arguments: [
    {
      name: 'FILE',
      summary: 'Buildfiles, or folders that hold one (default: ./Buildfile); - is standard input to standard output',
      optional: true,
      many: true,
    },
  ],
  flags,
  examples: [
    { line: 'kiln fmt', says: 'Format ./Buildfile' },
    { line: 'kiln fmt --check */Buildfile', says: 'In CI: are all of them formatted?' },
    { line: 'kiln fmt - <Buildfile', says: 'For an editor: the formatted text on standard output' },
  ],

  async run(context, values, files) {
    const { runFmt } = await import('../fmt-run.ts');
    return runFmt(context, values, files);
  },
});
