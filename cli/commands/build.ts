import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { progressModes } from '../progress/progress.ts';

const flags = {
  tag: { kind: 'list', short: 't', placeholder: 'NAME', summary: 'Name for the result, NAME[:TAG]; may be repeated' },
  file: { kind: 'value', short: 'f', placeholder: 'FILE', summary: 'The Buildfile (default CONTEXT/Buildfile)' },
  target: {
    kind: 'value',
    placeholder: 'STAGE',
    summary: 'Stage to build (default: the file’s default, else its last)',
  },
  'build-arg': {
    kind: 'list',
    placeholder: 'KEY=VALUE',
    summary: 'Value for one of the file’s args; KEY alone takes it from the environment',
  },
  'no-cache': { kind: 'switch', summary: 'Carry out every step again' },
  pull: { kind: 'switch', summary: 'Ask the registry for newer base images' },
  push: { kind: 'switch', summary: 'Push every name when the build has succeeded' },
  progress: {
    kind: 'value',
    placeholder: 'MODE',
    choices: progressModes,
    summary: `How progress is shown: ${progressModes.join(', ')}`,
  },
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the digest' },
  iidfile: { kind: 'value', placeholder: 'FILE', summary: 'Write the digest into FILE' },
  network: {
    kind: 'value',
    placeholder: 'MODE',
    choices: ['none', 'host'],
    summary: 'Network of run steps that name none: none or host',
  },
  json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type BuildFlags = FlagValues<typeof flags>;

export const build = defineCommand({
  about:
    'Reads CONTEXT/Buildfile (or --file), builds the stages its target needs, and names the result in the store. The image’s digest is printed on stdout, progress on stderr.',
  arguments: [{ name: 'CONTEXT', summary: 'Folder whose files the build may copy' }],
  flags,
  examples: [
    { line: 'kiln build -t registry.example:5000/site:1.2 .', says: 'Build the Buildfile of this folder' },
    {
      line: 'kiln build -t site --target app --build-arg NODE=24 --push ./site',
      says: 'One stage, with an argument, and push it',
    },
  ],

  async run(context, values, [folder = '.']) {
    const { runBuild } = await import('../build-run.ts');
    return runBuild(context, values, folder);
  },
});
