import { ToolError } from '../../core/index.ts';
import { type ByteString, byteStringOf, bytesOf, displayPath } from '../../runtime/index.ts';
import type { FetchAccess } from './fetch-access.ts';
import type { GitMirror } from './git-mirror.ts';
import { runGit } from './git-tool.ts';

/** One file of a commit. */
export interface GitFile {
  readonly kind: 'file' | 'executable' | 'symlink' | 'commit';
  /** Of the blob; for a submodule its commit. */
  readonly id: string;
  /** Bytes; 0 for a submodule. */
  readonly size: number;
  /** Relative to the root of the repository; never leads out of it, or into `.git`. */
  readonly path: ByteString;
}

const kinds: Readonly<Record<string, GitFile['kind']>> = {
  '100644': 'file',
  // Written by git of before 2005.
  '100664': 'file',
  '100755': 'executable',
  '120000': 'symlink',
  '160000': 'commit',
};
const maxFiles = 1_000_000;

/** @throws ToolError FETCH_GIT_TREE when the commit holds what git itself would not check out */
export async function listCommit(mirror: GitMirror, commit: string, access: FetchAccess): Promise<GitFile[]> {
  const { repository, folder } = mirror;
  const output = await runGit(['ls-tree', '-r', '-l', '-z', '--full-tree', commit], {
    repository,
    folder,
    signal: access.signal,
  });
  return parseTree(output, mirror.url.text);
}

/** `MODE TYPE ID SIZE\tPATH\0` for each file. git-ls-tree(1) */
function parseTree(output: Buffer, name: string): GitFile[] {
  const files: GitFile[] = [];
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(0, at);
    const line = byteStringOf(output.subarray(at, end === -1 ? output.length : end));
    files.push(fileOf(line, name));
    if (files.length > maxFiles) throw new ToolError('FETCH_GIT_TREE', `${name} has more than ${maxFiles} files`);
    at = end === -1 ? output.length : end + 1;
  }
  return files;
}

function fileOf(line: string, name: string): GitFile {
  const [, mode = '', id = '', size = '', path = ''] = /^(\d{6}) \w+ ([0-9a-f]+) +(\d+|-)\t(.*)$/s.exec(line) ?? [];
  const kind = kinds[mode];
  if (kind === undefined) throw new ToolError('FETCH_GIT_TREE', `${name} holds something of mode ${mode || '?'}`);
  const parts = path.split('/');
  const isUsable = parts.every((part) => part !== '' && part !== '.' && part !== '..' && part.toLowerCase() !== '.git');
  if (!isUsable || path.length > 4095) {
    throw new ToolError(
      'FETCH_GIT_TREE',
      `${name} holds the path ${displayPath(path as ByteString)}, which is refused`,
      {
        hint: 'the repository is made to do harm; tell who published it',
      },
    );
  }
  return { kind, id, size: size === '-' ? 0 : Number(size), path: path as ByteString };
}

/** What is in a folder of the tree, relative to it. @throws ToolError FETCH_GIT_SUBDIR_NOT_FOUND */
export function filesIn<F extends { readonly path: ByteString; readonly kind: GitFile['kind'] }>(
  files: readonly F[],
  subdir: ByteString,
  name: string,
): F[] {
  if (subdir === '') return [...files];
  const shown = bytesOf(subdir).toString('utf8');
  const inside = files.filter(({ path }) => path.startsWith(`${subdir}/`));
  if (inside.length > 0)
    return inside.map((file) => ({ ...file, path: file.path.slice(subdir.length + 1) as ByteString }));
  const itself = files.find(
    ({ path, kind }) => kind !== 'commit' && (path === subdir || subdir.startsWith(`${path}/`)),
  );
  const why =
    itself === undefined ? `has no folder ${shown}` : `has a ${itself.kind} at ${displayPath(itself.path)}, no folder`;
  throw new ToolError('FETCH_GIT_SUBDIR_NOT_FOUND', `${name} ${why}`);
}
