import { defineCommand, type FlagTable, type FlagValues, pickFlags } from '../command.ts';
import { connectionFlags } from '../connection-flags.ts';
import { buildFlags } from './build.ts';

const flags = {
  image: {
    kind: 'value',
    placeholder: 'NAME',
    summary: 'Compare with this image, pulled when it is not here (default: a build that may use the cache)',
  },
  ...pickFlags(buildFlags, [
    ...(['file', 'target', 'build-arg', 'build-context', 'platform', 'secret', 'ssh', 'network', 'jobs'] as const),
    ...(['no-lock', 'squash', 'label', 'annotation', 'progress'] as const),
  ]),
  json: { kind: 'switch', summary: 'Print the outcome as one JSON object, and errors as such' },
  ...connectionFlags,
} as const satisfies FlagTable;

export type VerifyFlags = FlagValues<typeof flags>;

export const verify = defineCommand({
  about:
    'Builds the Buildfile once more without any cache, from what Buildfile.lock holds, and compares the result with the image. Ends with 8 when they differ, and names the first difference: layer, file, attribute.',
  arguments: [
    { name: 'CONTEXT', summary: 'Folder whose files the build may copy (default: this one)', optional: true },
  ],
  flags,
  examples: [
    { line: 'kiln verify', says: 'Is the build of this folder reproducible?' },
    { line: 'kiln verify --image shop/app:1.4', says: 'Is this image what these sources build?' },
  ],

  async run(context, values, [folder = '.']) {
    const { runVerify } = await import('../verify-run.ts');
    return runVerify(context, values, folder);
  },
});
