import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  file: { kind: 'value', short: 'f', placeholder: 'FILE', summary: 'The Buildfile (default CONTEXT/Buildfile)' },
  context: { kind: 'value', placeholder: 'CONTEXT', summary: 'The build’s context (default: this folder)' },
  json: { kind: 'switch', summary: 'Print one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type ExplainFlags = FlagValues<typeof flags>;

export const explain = defineCommand({
  about:
    'Says for each step of the last build of this Buildfile whether its result came out of the cache, and if not, which input was another one than before: file by file, variable by variable, package by package.',
  arguments: [
    {
      name: 'STEP',
      summary: 'Only this step: its number, STAGE:NUMBER, or a part of its text; a folder is taken as the context',
      optional: true,
    },
  ],
  flags,
  examples: [
    { line: 'kiln explain', says: 'The last build of ./Buildfile' },
    { line: 'kiln explain app:3', says: 'Its third step of the stage app' },
  ],

  async run(context, values, [step]) {
    const { runExplain } = await import('../explain-run.ts');
    return runExplain(context, values, step);
  },
});
