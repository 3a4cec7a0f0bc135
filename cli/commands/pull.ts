import {
  type Platform,
  parsePlatform,
  parseReference,
  platformOf,
  type Reference,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import { defineCommand, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const flags = {
  platform: {
    kind: 'list',
    placeholder: 'OS/ARCH',
    summary: 'Which image of a multi-platform one (default: this machine’s); several keep the index with only these',
  },
  'all-platforms': { kind: 'switch', summary: 'A multi-platform image with the images of all its platforms' },
  quiet: { kind: 'switch', short: 'q', summary: 'Print only the name in full' },
  unpack: { kind: 'switch', summary: 'Unpack the layers too, as they come: the first container starts sooner' },
  'foreign-layers': {
    kind: 'switch',
    summary: 'Fetch layers that may not be redistributed from their publisher, by https, without credentials',
  },
  concurrency: { kind: 'value', short: 'j', placeholder: 'N', summary: 'Blobs on their way at once (default: 4)' },
  ...resultFlags,
  ...registryFlags,
} as const;

export type PullFlags = FlagValues<typeof flags>;

export const pull = defineCommand({
  about:
    'Downloads what the store does not have. NAME may end in @sha256:… to get exactly that. A download that broke off goes on where it was.',
  arguments: [{ name: 'NAME', summary: 'NAME[:TAG][@DIGEST]', many: true }],
  flags,
  examples: [
    { line: 'kiln pull registry.example:5000/site:1.2', says: 'Get an image into the store' },
    { line: 'kiln pull --all-platforms site:1.2', says: 'Get the images of all its platforms' },
  ],

  async run(context, values, names) {
    // What is wrong with the words is said before anything is fetched.
    const references = names.map((name) => withDefaultTag(parseReference(name)));
    const wanted = wantedPlatforms(values);
    const { runPull } = await import('../pull-run.ts');
    return runPull(context, values, { names, references, ...wanted });
  },
});

/** What a pull is to bring. */
export interface PullWanted {
  /** As they were written. */
  readonly names: readonly string[];
  readonly references: readonly Reference[];
  /** One: that image. Several: the index with these. None: the index with all. */
  readonly platforms: readonly Platform[];
  readonly concurrency?: number;
}

function wantedPlatforms({
  platform,
  concurrency,
  'all-platforms': all,
}: Pick<PullFlags, 'platform' | 'concurrency' | 'all-platforms'>): Pick<PullWanted, 'platforms' | 'concurrency'> {
  const texts = platform.flatMap((text) => text.split(','));
  if (all && texts.length > 0) {
    throw new ToolError('USAGE_FLAG_CONFLICT', '--all-platforms and --platform exclude each other');
  }
  if (concurrency !== undefined && !/^[1-9]\d{0,2}$/.test(concurrency)) {
    throw new ToolError(
      'USAGE_FLAG_VALUE',
      `--concurrency ${JSON.stringify(concurrency)} is not a number from 1 to 999`,
    );
  }
  const platforms = texts.length === 0 ? [platformOf(process.arch)] : texts.map(parsePlatform);
  return {
    platforms: all ? [] : platforms,
    ...(concurrency === undefined ? {} : { concurrency: Number(concurrency) }),
  };
}
