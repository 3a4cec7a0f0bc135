import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { lockFlags } from './update.ts';

const flags = {
  ...lockFlags,
  json: { kind: 'switch', summary: 'Print what is behind as one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type OutdatedFlags = FlagValues<typeof flags>;

export const outdated = defineCommand({
  about:
    'Compares Buildfile.lock with what registries, servers, repositories and package archives have now, and ends with 10 when something is behind. Changes nothing. Package sets are resolved on their stages as they are locked: steps before a packages step are carried out unless they are cached.',
  arguments: [
    { name: 'CONTEXT', summary: 'Folder of the build (default: this one)', optional: true },
    {
      name: 'NAME',
      summary:
        'Only these: an image, a URL, a suite (debian/bookworm), a package that a step names, or a kind of entry',
      optional: true,
      many: true,
    },
  ],
  flags,
  examples: [
    { line: 'kiln outdated', says: 'Is something behind?' },
    { line: 'kiln outdated --json . images', says: 'Only base images, for a script' },
  ],

  async run(context, values, [folder = '.', ...names]) {
    const { runOutdated } = await import('../lock-run.ts');
    return runOutdated(context, values, folder, names);
  },
});
