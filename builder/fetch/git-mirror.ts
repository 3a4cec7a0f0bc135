import { mkdir, readdir, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { digestHex, errorCode, sha256, ToolError } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { FetchAccess } from './fetch-access.ts';
import { remoteEnvironment, runGit, withRetries } from './git-tool.ts';
import type { GitUrl } from './git-url.ts';

/** A bare repository in the store that holds commits of one remote, mostly without their history. */
export interface GitMirror {
  readonly url: GitUrl;
  readonly repository: string;
  /** Empty: where git works. */
  readonly folder: string;
}

/** Of the store: what is in it can be deleted at any time when nothing builds. */
export const gitFolder = 'git';
/** Held while a mirror changes. */
export const gitLock = (name: string): string => `git-${name}`;
/** What a git that was killed leaves; nobody else is at work while the lock is held. */
const staleLocks = ['shallow.lock', 'config.lock', 'HEAD.lock', 'packed-refs.lock'];
const statusEveryMs = 2000;

/**
 * The mirror of a remote with a commit in it, which is fetched when it is missing: alone, else, where the server does
 * not give single commits, with all branches and tags.
 * @param folder empty
 * @throws ToolError FETCH_GIT_COMMIT_NOT_FOUND, FETCH_GIT_*
 */
export async function mirrorWith(
  workshop: Workshop,
  url: GitUrl,
  commit: string,
  folder: string,
  access: FetchAccess,
): Promise<GitMirror> {
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  const name = digestHex(sha256(`${format} ${url.text}`));
  await using _lock = await workshop.locks.acquire(gitLock(name), 'exclusive', access);
  const repository = path.join(workshop.options.home, gitFolder, name);
  const mirror = { url, repository, folder };
  await prepare(mirror, format, access);
  const nowS = workshop.options.clock.now() / 1000;
  await utimes(repository, nowS, nowS);
  if (await hasCommit(mirror, commit, access)) return mirror;
  await fetchCommit(workshop, mirror, commit, access);
  if (!(await hasCommit(mirror, commit, access))) throw commitNotFound(url, commit);
  return mirror;
}

async function prepare({ repository, folder }: GitMirror, format: string, access: FetchAccess): Promise<void> {
  await mkdir(repository, { recursive: true, mode: 0o700 });
  for (const file of staleLocks) await rm(path.join(repository, file), { force: true });
  const packs = path.join(repository, 'objects/pack');
  for (const file of await readdir(packs).catch(() => [])) {
    if (file.startsWith('tmp_')) await rm(path.join(packs, file), { force: true });
  }
  await runGit(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, repository], {
    folder,
    signal: access.signal,
  });
}

async function hasCommit({ repository, folder }: GitMirror, commit: string, access: FetchAccess): Promise<boolean> {
  // A ref is written last, when all that the commit needs is here.
  const output = await runGit(['for-each-ref', '--format=%(refname)', `refs/kiln/${commit}`], {
    repository,
    folder,
    signal: access.signal,
  });
  return output.toString('utf8').trim() === `refs/kiln/${commit}`;
}

async function fetchCommit(
  workshop: Workshop,
  { url, repository, folder }: GitMirror,
  commit: string,
  access: FetchAccess,
): Promise<void> {
  access.onStatus?.(`fetching ${commit.slice(0, 12)} from ${url.host}`);
  const env = await remoteEnvironment(url, access);
  const options = { repository, folder, env, signal: access.signal, stallMs: access.stallMs };
  const fetch = (depth: readonly string[], refspecs: readonly string[]) =>
    withRetries(access, () =>
      runGit([...fetchArgs, ...depth, '--', url.text, ...refspecs], {
        ...options,
        onProgress: progress(workshop, url, access),
      }),
    );
  try {
    await fetch(['--depth=1'], [`+${commit}:refs/kiln/${commit}`]);
  } catch (error) {
    // Old servers give only what a ref points at, and those that serve files know no depth.
    if (errorCode(error) !== 'FETCH_GIT_REFUSED') throw error;
    const isShallow = await runGit(['rev-parse', '--is-shallow-repository'], options);
    const depth = isShallow.toString('utf8').trim() === 'true' ? ['--unshallow'] : [];
    await fetch(depth, ['+refs/heads/*:refs/remote/heads/*', '+refs/tags/*:refs/remote/tags/*']);
    const type = await runGit(['cat-file', '-t', commit], options).catch(() => Buffer.alloc(0));
    if (type.toString('utf8').trim() !== 'commit') throw commitNotFound(url, commit);
    await runGit(['update-ref', `refs/kiln/${commit}`, commit], options);
  }
}

const fetchArgs = [
  'fetch',
  '--progress',
  '--force',
  '--no-tags',
  '--no-recurse-submodules',
  '--no-write-fetch-head',
  '--update-shallow',
];

function progress(workshop: Workshop, url: GitUrl, { onStatus }: FetchAccess): (line: string) => void {
  const { clock } = workshop.options;
  let saidMs = clock.now();
  return (line) => {
    if (onStatus === undefined || clock.now() - saidMs < statusEveryMs || !/\d%/.test(line)) return;
    saidMs = clock.now();
    onStatus(`${url.host}: ${line.slice(0, 160)}`);
  };
}

function commitNotFound(url: GitUrl, commit: string): ToolError {
  return new ToolError('FETCH_GIT_COMMIT_NOT_FOUND', `${url.text} has no commit ${commit}`, {
    hint: 'it may have been removed there, or belong to a fork',
  });
}
