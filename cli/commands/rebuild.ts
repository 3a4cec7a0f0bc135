import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { connectionFlags } from '../connection-flags.ts';

const flags = {
  file: { kind: 'value', short: 'f', placeholder: 'FILE', summary: 'The list of images (default kiln.toml)' },
  every: { kind: 'value', placeholder: 'DURATION', summary: 'How often watch looks: 90s, 30m, 1h30m (default 1h)' },
  json: { kind: 'switch', summary: 'Print one JSON object per image and line, and errors as such' },
  ...connectionFlags,
} as const satisfies FlagTable;

export type RebuildFlags = FlagValues<typeof flags>;

export const rebuild = defineCommand({
  about:
    'check says which images their bases have left behind, and exits with 10 when there are any; run rebuilds and pushes these, each after those it is built on, and nothing else; watch does so at once and then again and again until it is interrupted. The images are listed in kiln.toml, see docs/rebuild.md.',
  arguments: [{ name: 'ACTION', summary: 'check, run or watch' }],
  flags,
  examples: [
    { line: 'kiln rebuild check', says: 'Is there something to rebuild?' },
    { line: 'kiln rebuild watch --every 30m -f /etc/kiln.toml', says: 'Keep images patched' },
  ],

  async run(context, values, [action = '']) {
    const { runRebuild } = await import('../rebuild-run.ts');
    return runRebuild(context, values, action);
  },
});
