import { type Action, chooseAction } from './action.ts';
import { type ArtifactFlags, artifactFlags } from './commands/artifact.ts';
import type { Context } from './context.ts';
import { registryFlags } from './registry-flags.ts';
import { checkResultFlags, resultFlags } from './result.ts';

const any = Number.POSITIVE_INFINITY;

const actions = {
  push: {
    usage: 'REF [FILE[:TYPE]...]',
    takes: [1, any],
    flags: ['artifact-type', 'config', 'annotation', 'annotation-file', 'subject'],
  },
  pull: {
    usage: 'REF [-o FOLDER]',
    takes: [1, 1],
    flags: ['output', 'keep-old-files', 'overwrite', 'include-subject', 'platform'],
  },
  attach: {
    usage: '--artifact-type TYPE SUBJECT [FILE[:TYPE]...]',
    takes: [1, any],
    flags: ['artifact-type', 'annotation', 'annotation-file', 'platform'],
  },
  discover: { usage: 'REF', takes: [1, 1], flags: ['artifact-type', 'depth', 'verbose', 'platform'] },
} as const satisfies Readonly<Record<string, Action<typeof artifactFlags>>>;

const common = Object.keys({ ...registryFlags, ...resultFlags }) as (keyof typeof artifactFlags)[];

/** `kiln artifact`. */
export async function runArtifact(
  context: Context,
  flags: ArtifactFlags,
  action: string,
  words: readonly string[],
): Promise<number> {
  const chosen = chooseAction('artifact', actions, artifactFlags, common, { action, words, flags });
  checkResultFlags(flags);
  const [reference = '', ...files] = words;
  switch (chosen) {
    case 'push':
      return (await import('./artifact-push.ts')).pushArtifact(context, flags, reference, files);
    case 'attach':
      return (await import('./artifact-push.ts')).attachArtifact(context, flags, reference, files);
    case 'pull':
      return (await import('./artifact-pull.ts')).pullArtifact(context, flags, reference);
    case 'discover':
      return (await import('./artifact-discover.ts')).discoverArtifacts(context, flags, reference);
  }
}
