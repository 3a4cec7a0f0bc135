import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { buildFlags } from './build.ts';

const { file, target, all, 'build-arg': buildArg, 'build-context': buildContext, platform } = buildFlags;

const flags = {
  file,
  fix: { kind: 'switch', summary: 'Put right what changes no file of an image, and say what that was' },
  format: {
    kind: 'value',
    placeholder: 'FORMAT',
    choices: ['text', 'json', 'sarif'],
    summary: 'How findings are printed: text (the default), json, or sarif for code scanning',
  },
  target,
  all,
  'build-arg': buildArg,
  'build-context': buildContext,
  platform,
  json: { kind: 'switch', summary: 'The same as --format json; prints errors as JSON too' },
} as const satisfies FlagTable;

export type CheckFlags = FlagValues<typeof flags>;

export const check = defineCommand({
  about:
    'Tells mistakes in a Buildfile (they end it with 2), then what breaks the rules of docs/lint-rules.md: errors and warnings end it with 11, notes with 0. Nothing is built, and the network is not asked. A comment `# kiln: ignore RULE` on the line before a thing, or at the end of its line, takes a rule out.',
  arguments: [
    { name: 'CONTEXT', summary: 'Folder whose files the build may copy (default: this one)', optional: true },
  ],
  flags,
  examples: [
    { line: 'kiln check', says: 'Check ./Buildfile' },
    { line: 'kiln check --fix', says: 'Put right what can be' },
    { line: 'kiln check --format sarif >kiln.sarif', says: 'For the code scanning of a forge' },
  ],

  async run(context, values, [folder = '.']) {
    const { runCheck } = await import('../check-run.ts');
    return runCheck(context, values, folder);
  },
});
