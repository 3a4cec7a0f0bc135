import { sha256, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, byteStringOf, type Entry } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { ArchiveTree } from './archive-tree.ts';
import type { FetchAccess } from './fetch-access.ts';
import type { FetchedContent, OpenContent } from './fetched-content.ts';
import type { FetchRules } from './file-content.ts';
import { mirrorWith } from './git-mirror.ts';
import { GitObjects } from './git-objects.ts';
import { gitPinKey, isCommit, parseRef, parseSubdir } from './git-ref.ts';
import { resolveRemoteRef } from './git-remote.ts';
import { filesOfCommit, type MirroredFile } from './git-submodules.ts';
import { filesIn } from './git-tree.ts';
import { type GitUrl, parseGitUrl } from './git-url.ts';

export interface RepositorySource {
  readonly url: string;
  /** Branch, tag or commit; the remote's HEAD unless given. */
  readonly ref?: string | undefined;
  readonly subdir?: string | undefined;
  /** The commit, whole. */
  readonly checksum?: string | undefined;
}

interface Repository {
  readonly url: GitUrl;
  readonly ref: string | undefined;
  readonly subdir: ByteString;
  readonly checksum: string | undefined;
}

const maxFiles = 1_000_000;
const maxLinkBytes = 4095;
const madeTime = { seconds: 1, nanoseconds: 0 };

/**
 * A commit of a git repository: its key is the content of its tree, so that another commit with the same files is the
 * same layer. Files come as git stores them: no line endings are converted, no filter (LFS) runs, no hook, no checkout.
 * @throws ToolError FETCH_*, LOCK_FROZEN
 */
export async function repositoryContent(
  workshop: Workshop,
  source: RepositorySource,
  rules: FetchRules,
  given: FetchAccess,
): Promise<FetchedContent> {
  const repository = parseSource(source);
  const access = { ...given, gitHost: repository.url.host };
  const commit = await commitOf(workshop, source, repository, rules, access);
  const key = `git-tree ${JSON.stringify([repository.url.text, commit, repository.subdir])}`;
  let tree = treeIn(await workshop.records.read('fetches-v1', key));
  if (tree === undefined) {
    await using folder = await gitScratch(workshop);
    if (repository.checksum !== undefined) await checkRef(repository, repository.checksum, folder.path, access);
    tree = treeOf(await listed(workshop, repository, commit, folder.path, access));
    await workshop.records.write('fetches-v1', key, { git: key, tree });
  }
  return {
    identity: [['tree', tree]],
    open: (options) => openCommit(workshop, repository, commit, { ...access, ...options }),
  };
}

/** What a ref means now, as `pins` keep it. @throws ToolError FETCH_* */
export async function askRef(
  workshop: Workshop,
  source: Pick<RepositorySource, 'url' | 'ref'>,
  access: FetchAccess,
): Promise<string> {
  const { url, ref } = parseSource(source);
  if (ref !== undefined && isCommit(ref)) return ref;
  await using folder = await gitScratch(workshop);
  access.onStatus?.(`asking ${url.host} for ${ref ?? 'HEAD'}`);
  // Awaited here: the folder goes away with this scope.
  return await resolveRemoteRef(url, ref, folder.path, { ...access, gitHost: url.host });
}

/** Makes a commit the last known answer, which a build without pins takes. */
export async function rememberRef(
  workshop: Workshop,
  { url, ref }: Pick<RepositorySource, 'url' | 'ref'>,
  commit: string,
): Promise<void> {
  const pin = gitPinKey(url, ref);
  await workshop.records.write('fetches-v1', refName(pin), { git: pin, commit });
}

function refName(pin: string): string {
  return `git-ref ${pin}`;
}

function parseSource({ url, ref, subdir, checksum }: RepositorySource): Repository {
  if (checksum !== undefined && !isCommit(checksum)) {
    throw new ToolError('FETCH_CHECKSUM_INVALID', `${JSON.stringify(checksum.slice(0, 200))} is no commit`, {
      hint: 'the checksum of a git source is its commit, with all its digits',
    });
  }
  return {
    url: parseGitUrl(url),
    ref: ref === undefined ? undefined : parseRef(ref),
    subdir: byteString(parseSubdir(subdir ?? '')),
    checksum,
  };
}

async function commitOf(
  workshop: Workshop,
  source: RepositorySource,
  { ref, url, checksum }: Repository,
  { pins, refresh, again }: FetchRules,
  access: FetchAccess,
): Promise<string> {
  if (checksum !== undefined) {
    if (ref !== undefined && isCommit(ref) && ref !== checksum) throw otherCommit(url, ref, checksum, ref);
    return checksum;
  }
  if (ref !== undefined && isCommit(ref)) return ref;
  const pin = gitPinKey(source.url, source.ref);
  const pinned = refresh ? undefined : pins.find('git', pin);
  if (pinned !== undefined) return pinned;
  const known = refresh || again ? undefined : await workshop.records.read('fetches-v1', refName(pin));
  const commit = commitIn(known) ?? (await askRef(workshop, source, access));
  await rememberRef(workshop, source, commit);
  pins.keep('git', pin, commit);
  return commit;
}

/** With a ref and a checksum, the ref has to be at that commit when the network is asked anyway. */
async function checkRef(
  { url, ref }: Repository,
  checksum: string,
  folder: string,
  access: FetchAccess,
): Promise<void> {
  if (ref === undefined || isCommit(ref)) return;
  const commit = await resolveRemoteRef(url, ref, folder, access);
  if (commit !== checksum) throw otherCommit(url, ref, checksum, commit);
}

function otherCommit(url: GitUrl, ref: string, expected: string, found: string): ToolError {
  return new ToolError('FETCH_CHECKSUM', `${ref} of ${url.text} is the commit ${found}, and ${expected} was expected`, {
    hint: 'find out why the ref moved before you change the checksum',
  });
}

async function listed(
  workshop: Workshop,
  { url, subdir }: Repository,
  commit: string,
  folder: string,
  access: FetchAccess,
): Promise<MirroredFile[]> {
  const mirror = await mirrorWith(workshop, url, commit, folder, access);
  const files = await filesOfCommit(workshop, { mirror, commit, subdir }, access);
  return filesIn(files, subdir, `${url.text} at ${commit.slice(0, 12)}`);
}

/** Digest over kind, id and path of each file, sorted. */
function treeOf(files: readonly MirroredFile[]): string {
  const lines = files.map(({ kind, id, path }) => `${kind} ${id} ${JSON.stringify(path)}\n`);
  return sha256(lines.sort().join(''));
}

async function openCommit(
  workshop: Workshop,
  repository: Repository,
  commit: string,
  access: FetchAccess,
): Promise<OpenContent> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await gitScratch(workshop));
  const files = await listed(workshop, repository, commit, folder.path, access);
  const readers = new Map<string, GitObjects>();
  const reader = (file: MirroredFile): GitObjects => {
    const { repository: key } = file.mirror;
    const found = readers.get(key) ?? stack.use(new GitObjects(file.mirror, access));
    readers.set(key, found);
    return found;
  };
  const tree = new ArchiveTree(maxFiles);
  for (const file of files) tree.add(await entryOf(file, reader(file)));
  const held = stack.move();
  return {
    match: { name: '' as ByteString, isDirectory: true, entries: tree.entries() },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function entryOf({ kind, id, path, size }: MirroredFile, objects: GitObjects): Promise<Entry> {
  const metadata = { path, uid: 0, gid: 0, mtime: madeTime };
  switch (kind) {
    case 'commit':
      return { ...metadata, type: 'directory', mode: 0o755 };
    case 'symlink': {
      const chunks: Buffer[] = [];
      if (size > maxLinkBytes || size === 0) throw unusableLink(path);
      for await (const chunk of objects.blob(id, size)) chunks.push(Buffer.from(chunk));
      const target = byteStringOf(Buffer.concat(chunks));
      if (target.includes('\0')) throw unusableLink(path);
      return { ...metadata, type: 'symlink', mode: 0o777, target };
    }
    default: {
      const stream = { [Symbol.asyncIterator]: () => objects.blob(id, size) };
      return {
        ...metadata,
        type: 'file',
        mode: kind === 'executable' ? 0o755 : 0o644,
        size,
        content: { kind: 'stream', stream },
      };
    }
  }
}

function unusableLink(path: ByteString): ToolError {
  return new ToolError('FETCH_GIT_TREE', `the symbolic link ${path} of the repository has no usable target`);
}

/** Where git works, and its home: empty. */
async function gitScratch(workshop: Workshop) {
  return (await workshop.scratch()).make('git');
}

function treeIn(record: unknown): string | undefined {
  const tree = typeof record === 'object' && record !== null && 'tree' in record ? record.tree : undefined;
  return typeof tree === 'string' && /^sha256:[0-9a-f]{64}$/.test(tree) ? tree : undefined;
}

function commitIn(record: unknown): string | undefined {
  const commit = typeof record === 'object' && record !== null && 'commit' in record ? record.commit : undefined;
  return typeof commit === 'string' && isCommit(commit) ? commit : undefined;
}
