import { type CallOptions, isDigest, isRepositoryName, mapConcurrent, ToolError } from '../core/index.ts';
import { listRepositories, OciLayout, openRepository, type Place, type RemoteRepository } from '../registry/index.ts';
import { type Action, chooseAction } from './action.ts';
import { type RepoFlags, repoFlags } from './commands/repo.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { objectPlace } from './objects.ts';
import { registryFlags, remoteOptions } from './registry-flags.ts';
import { registryName } from './registry-name.ts';
import { checkResultFlags, printResult, resultFlags } from './result.ts';
import { harmlessLine } from './terminal-text.ts';

const actions = {
  ls: { usage: 'REGISTRY[/NAMESPACE]', takes: [1, 1], flags: [] },
  tags: { usage: 'REPOSITORY[@DIGEST]', takes: [1, 1], flags: ['last', 'exclude-digest-tags'] },
} as const satisfies Readonly<Record<string, Action<typeof repoFlags>>>;

const common = Object.keys({ ...registryFlags, ...resultFlags }) as (keyof typeof repoFlags)[];

/** `kiln repo`. */
export async function runRepo(
  context: Context,
  flags: RepoFlags,
  action: string,
  words: readonly string[],
): Promise<number> {
  const chosen = chooseAction('repo', actions, repoFlags, common, { action, words, flags });
  checkResultFlags(flags);
  const [text = ''] = words;
  await (chosen === 'ls' ? showRepositories(context, flags, text) : showTags(context, flags, text));
  return exitCodes.ok;
}

async function showRepositories(context: Context, flags: RepoFlags, text: string): Promise<void> {
  const { registry, namespace } = registryAndNamespace(text);
  const { signal } = context;
  const repositories: string[] = [];
  for await (const name of listRepositories(registry, { ...remoteOptions(context, flags), signal })) {
    if (namespace === '' || name === namespace || name.startsWith(`${namespace}/`)) repositories.push(name);
  }
  printResult(context, flags, { registry, repositories }, repositories.map(harmlessLine).join('\n'));
}

/** The first part is the registry, as `kiln login` takes it. @throws ToolError USAGE_REGISTRY, USAGE_ARGUMENTS */
function registryAndNamespace(text: string): { readonly registry: string; readonly namespace: string } {
  const bare = text.replace(/^(?:https?|docker):\/\//, '').replace(/\/+$/, '');
  const slash = bare.indexOf('/');
  const namespace = slash === -1 ? '' : bare.slice(slash + 1);
  if (namespace !== '' && !isRepositoryName(namespace)) {
    throw new ToolError('USAGE_ARGUMENTS', `${JSON.stringify(namespace)} is not the beginning of a repository’s name`);
  }
  return { registry: registryName(slash === -1 ? bare : bare.slice(0, slash)), namespace };
}

async function showTags(context: Context, flags: RepoFlags, text: string): Promise<void> {
  const place = objectPlace(context, text);
  const { name, tags: all } =
    place.kind === 'registry' ? await remoteTags(context, flags, place) : await layoutTags(place);
  const tags = flags['exclude-digest-tags'] ? all.filter((tag) => !isDigestTag(tag)) : all;
  printResult(context, flags, { name, tags }, tags.map(harmlessLine).join('\n'));
}

interface Tags {
  readonly name: string;
  readonly tags: readonly string[];
}

async function remoteTags(
  context: Context,
  flags: RepoFlags,
  { reference }: Extract<Place, { kind: 'registry' }>,
): Promise<Tags> {
  if (reference.tag !== undefined) {
    throw new ToolError(
      'USAGE_ARGUMENTS',
      `${reference.repository}:${reference.tag} names one image, not a repository`,
      {
        hint: `leave :${reference.tag} away`,
      },
    );
  }
  const repository = openRepository(reference, remoteOptions(context, flags));
  const { signal } = context;
  const last = flags.last === undefined ? {} : { last: flags.last };
  const tags: string[] = [];
  for await (const tag of repository.tags({ ...last, signal })) tags.push(tag);
  const { digest } = reference;
  return {
    name: repository.name,
    tags: digest === undefined ? tags : await meaning(repository, tags, digest, { signal }),
  };
}

async function meaning(
  repository: RemoteRepository,
  tags: readonly string[],
  digest: string,
  options: CallOptions,
): Promise<string[]> {
  const digests = await mapConcurrent(tags, { concurrency: 8, ...options }, async (tag, call) => {
    return (await repository.resolve(tag, call)).digest;
  });
  return tags.filter((_tag, at) => digests[at] === digest);
}

async function layoutTags(place: Exclude<Place, { kind: 'registry' }>): Promise<Tags> {
  if (place.kind !== 'oci') {
    throw new ToolError('USAGE_ARGUMENTS', `kiln repo tags lists a repository or oci:DIR, not ${place.kind}:…`, {
      hint: place.kind === 'store' ? 'see: kiln images' : 'unpack the archive: kiln copy, to oci:DIR',
    });
  }
  const named = await (await OciLayout.openReadOnly(place.path)).list();
  const { name: digest } = place;
  if (digest !== undefined && !isDigest(digest)) {
    throw new ToolError('USAGE_ARGUMENTS', `oci:${place.path}:${digest} names one image, not a layout`);
  }
  const wanted = named.filter(({ descriptor }) => digest === undefined || descriptor.digest === digest);
  return { name: `oci:${place.path}`, tags: wanted.map(({ name }) => name) };
}

/** `sha256-…`, with or without what cosign puts behind it. */
function isDigestTag(tag: string): boolean {
  return /^(?:sha256-[0-9a-f]{64}|sha512-[0-9a-f]{64,})(?:\..*)?$/.test(tag);
}
