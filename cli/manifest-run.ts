import path from 'node:path';
import { writeOutputStream } from '../builder/index.ts';
import {
  asRecord,
  type Descriptor,
  errorCode,
  isDigest,
  LockFolder,
  NotFoundError,
  parsePlatform,
  repositoryName,
  ToolError,
} from '../core/index.ts';
import { OciLayout, type Place, selectManifest } from '../registry/index.ts';
import { type Action, chooseAction } from './action.ts';
import { type ManifestFlags, manifestFlags } from './commands/manifest.ts';
import { confirm } from './confirm.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { namedInRepository, objectPlace, openObject } from './objects.ts';
import { registryFlags } from './registry-flags.ts';
import { checkResultFlags, printResult, resultFlags } from './result.ts';
import { writeToStandardOutput } from './standard-output.ts';
import { homeOf, makeHome } from './store.ts';
import { harmlessText } from './terminal-text.ts';

const any = Number.POSITIVE_INFINITY;

const actions = {
  get: { usage: 'REF', takes: [1, 1], flags: ['platform', 'descriptor', 'raw', 'pretty', 'output'] },
  put: { usage: 'REF FILE', takes: [2, 2], flags: ['media-type'] },
  rm: { usage: 'REF', takes: [1, 1], flags: ['force', 'yes'] },
  index: {
    usage: 'REF [MANIFEST...]',
    takes: [1, any],
    flags: ['annotation', 'artifact-type', 'append', 'remove'],
  },
} as const satisfies Readonly<Record<string, Action<typeof manifestFlags>>>;

const common = Object.keys({ ...registryFlags, ...resultFlags }) as (keyof typeof manifestFlags)[];

/** `kiln manifest`. */
export async function runManifest(
  context: Context,
  flags: ManifestFlags,
  action: string,
  words: readonly string[],
): Promise<number> {
  const chosen = chooseAction('manifest', actions, manifestFlags, common, { action, words, flags });
  checkResultFlags(flags);
  const [text = '', ...rest] = words;
  switch (chosen) {
    case 'get':
      return getManifest(context, flags, text);
    case 'put':
      return (await import('./manifest-put.ts')).putManifest(context, flags, text, rest[0] ?? '-');
    case 'rm':
      return removeManifest(context, flags, objectPlace(context, text));
    case 'index':
      return (await import('./manifest-index.ts')).makeIndex(context, flags, text, rest);
  }
}

async function getManifest(context: Context, flags: ManifestFlags, text: string): Promise<number> {
  const { signal, terminal, folder } = context;
  if (Number(flags.descriptor) + Number(flags.raw) + Number(flags.pretty) > 1) {
    throw new ToolError('USAGE_ARGUMENTS', '--descriptor, --raw and --pretty exclude each other');
  }
  const platform = flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) };
  await using source = await openObject(context, flags, objectPlace(context, text));
  if (flags.descriptor && flags.platform === undefined) return showDescriptor(context, flags, source.root);
  const { descriptor, bytes } = await selectManifest(source.content, source.root, { ...platform, signal });
  if (flags.descriptor) return showDescriptor(context, flags, descriptor);
  const document = parsedDocument(bytes, descriptor);
  const indented = `${JSON.stringify(document, undefined, 2)}\n`;
  const isPretty = flags.pretty || (!flags.raw && terminal.out.isTerminal && flags.output === undefined);
  const out = isPretty ? Buffer.from(indented) : bytes;
  if (flags.output !== undefined && flags.output !== '-') {
    const file = path.resolve(folder, flags.output);
    await writeOutputStream({ kind: 'file', file }, once(out), { signal });
    return exitCodes.ok;
  }
  if (flags.json || flags.format !== undefined) printResult(context, flags, document, indented);
  else if (terminal.out.isTerminal) terminal.out.write(harmlessText(out.toString('utf8')));
  else await writeToStandardOutput(once(out));
  return exitCodes.ok;
}

function parsedDocument(bytes: Buffer, { digest }: Descriptor): object {
  try {
    return asRecord(JSON.parse(bytes.toString('utf8')), 'the manifest');
  } catch (cause) {
    throw new ToolError('MANIFEST_INVALID', `${digest} is no manifest: it is not a JSON object`, { cause });
  }
}

function showDescriptor(context: Context, flags: ManifestFlags, descriptor: Descriptor): number {
  printResult(context, flags, descriptor, JSON.stringify(descriptor, undefined, flags.pretty ? 2 : undefined));
  return exitCodes.ok;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield bytes;
}

async function removeManifest(context: Context, flags: ManifestFlags, place: Place): Promise<number> {
  switch (place.kind) {
    case 'registry':
      return removeRemote(context, flags, place);
    case 'oci':
      return removeFromLayout(context, flags, place.path, place.name);
    default:
      throw new ToolError('USAGE_ARGUMENTS', `kiln manifest rm does not delete out of ${place.kind}:…`, {
        ...(place.kind === 'store' ? { hint: 'kiln rmi does' } : {}),
      });
  }
}

async function removeRemote(
  context: Context,
  flags: ManifestFlags,
  place: Extract<Place, { kind: 'registry' }>,
): Promise<number> {
  const { signal } = context;
  const { repository, reference } = namedInRepository(context, flags, place);
  const { name } = repository;
  const what = isDigest(reference) ? `the manifest ${reference} with all its tags` : `the tag ${reference}`;
  if (!(await confirm(context, flags, `Delete ${what} of ${name}?`))) return exitCodes.ok;
  try {
    await repository.remove(reference, { signal });
  } catch (error) {
    if (errorCode(error) === 'REGISTRY_CANNOT_DELETE' && !isDigest(reference)) {
      throw await byDigestInstead(error as ToolError, place, () => repository.resolve(reference, { signal }));
    }
    if (!flags.force || !(error instanceof NotFoundError)) throw error;
  }
  const full = `${name}${isDigest(reference) ? '@' : ':'}${reference}`;
  printResult(context, flags, { name, reference }, `Deleted ${full}`);
  return exitCodes.ok;
}

/** The registry deletes no tags: what would take this one away, spelled out; or that there is none. */
async function byDigestInstead(
  error: ToolError,
  { reference }: Extract<Place, { kind: 'registry' }>,
  resolve: () => Promise<Descriptor>,
): Promise<ToolError> {
  try {
    const { digest } = await resolve();
    return new ToolError(error.code, error.message, {
      cause: error,
      hint: `this deletes the image with all its tags: kiln manifest rm ${repositoryName(reference)}@${digest}`,
    });
  } catch (cause) {
    if (cause instanceof NotFoundError) return cause;
    throw cause;
  }
}

/** Only the name goes: what nothing else needs is deleted when something is next copied there. */
async function removeFromLayout(
  context: Context,
  flags: ManifestFlags,
  folder: string,
  name: string | undefined,
): Promise<number> {
  if (name === undefined || isDigest(name)) {
    throw new ToolError('USAGE_ARGUMENTS', `kiln manifest rm takes names out of a layout: oci:${folder}:NAME`);
  }
  await OciLayout.openReadOnly(folder);
  if (!(await confirm(context, flags, `Delete the name ${name} of ${folder}?`))) return exitCodes.ok;
  const home = await makeHome(homeOf(context));
  const layout = await OciLayout.open(folder, { locks: new LockFolder(path.join(home, 'locks')) });
  const removed = await layout.untag(name, { signal: context.signal });
  if (removed === undefined && !flags.force) {
    throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${JSON.stringify(name)} in ${folder}`);
  }
  printResult(context, flags, { name: `oci:${folder}`, reference: name }, `Deleted oci:${folder}:${name}`);
  return exitCodes.ok;
}
