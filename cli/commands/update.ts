import { defineCommand, type FlagTable, type FlagValues, pickFlags } from '../command.ts';
import { connectionFlags } from '../connection-flags.ts';
import { buildFlags } from './build.ts';

/** What decides which questions a Buildfile asks, and how the steps before a packages step are carried out. */
export const lockFlags = {
  ...pickFlags(buildFlags, [
    ...(['file', 'build-arg', 'build-context', 'platform', 'secret', 'ssh', 'network', 'jobs', 'progress'] as const),
  ]),
  target: { ...buildFlags.target, summary: 'Only what this stage needs (default: every stage); may be repeated' },
  ...connectionFlags,
} as const satisfies FlagTable;

const flags = {
  ...lockFlags,
  check: { kind: 'switch', summary: 'Change nothing; end with 10 when something would move' },
  quiet: { kind: 'switch', short: 'q', summary: 'Print nothing' },
  json: { kind: 'switch', summary: 'Print what moved as one JSON object, and errors as such' },
} as const satisfies FlagTable;

export type UpdateFlags = FlagValues<typeof flags>;

export const update = defineCommand({
  about:
    'Asks registries, servers, repositories and package archives again for everything that Buildfile.lock holds, writes their answers into it, and prints what moved: old → new, package by package. Entries that no stage needs any more are dropped. Package sets are resolved on their stages: steps before a packages step are carried out unless they are cached.',
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
    { line: 'kiln update', says: 'Take everything as it is now' },
    { line: 'kiln update . debian:bookworm-slim', says: 'Only this base image' },
    { line: 'kiln update --check --json .', says: 'What would move, for a script' },
  ],

  async run(context, values, [folder = '.', ...names]) {
    const { runUpdate } = await import('../lock-run.ts');
    return runUpdate(context, values, folder, names);
  },
});
