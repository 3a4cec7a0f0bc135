import { lstat, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { ToolError } from '../core/index.ts';
import { byteString, type Entry } from '../runtime/index.ts';

/** One second after the epoch: what files say of the time they were made is not what makes them these files. */
const mtime = { seconds: 1, nanoseconds: 0 };

/**
 * A folder's files for a tar, each below `title`, sorted: without owners and times, executable or not.
 * @throws ToolError USAGE_FILE for links that lead out of it, devices, pipes and sockets
 */
export async function* folderEntries(folder: string, title: string): AsyncGenerator<Entry, void> {
  const common = { uid: 0, gid: 0, mtime };
  for (const above of foldersAbove(title)) {
    yield { ...common, type: 'directory', path: byteString(above), mode: 0o755 };
  }
  yield* below('');

  async function* below(inner: string): AsyncGenerator<Entry, void> {
    yield { ...common, type: 'directory', path: byteString(path.posix.join(title, inner)), mode: 0o755 };
    const names = (await readdir(path.join(folder, inner))).sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    for (const name of names) {
      const relative = path.posix.join(inner, name);
      const file = path.join(folder, relative);
      const found = await lstat(file);
      const named = { ...common, path: byteString(path.posix.join(title, relative)) };
      if (found.isDirectory()) {
        yield* below(relative);
      } else if (found.isSymbolicLink()) {
        yield { ...named, type: 'symlink', mode: 0o777, target: byteString(await innerTarget(file, relative)) };
      } else if (found.isFile()) {
        const mode = (found.mode & 0o111) === 0 ? 0o644 : 0o755;
        yield { ...named, type: 'file', mode, size: found.size, content: { kind: 'disk', file: Buffer.from(file) } };
      } else {
        throw unusable(path.posix.join(title, relative), 'it is a device, a pipe or a socket');
      }
    }
  }

  async function innerTarget(link: string, relative: string): Promise<string> {
    const target = await readlink(link);
    if (staysInside(relative, target)) return target;
    throw unusable(path.posix.join(title, relative), `it is a symbolic link to ${target}, outside of ${title}`);
  }
}

/**
 * Whether a symbolic link at `file`, a relative path, leads to something below the folder that path is relative to. Steps up
 * count at its beginning only, where all folders are real ones: after a name, which may be another link, they could lead
 * anywhere.
 */
export function staysInside(file: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0')) return false;
  const names = target.split('/').filter((name) => name !== '' && name !== '.');
  const up = names.findIndex((name) => name !== '..');
  const ups = up === -1 ? names.length : up;
  return ups <= file.split('/').length - 1 && !names.slice(ups).includes('..');
}

/** Of `a/b/c`: `a`, `a/b`. */
export function foldersAbove(title: string): string[] {
  const names = title.split('/').slice(0, -1);
  return names.map((_name, at) => names.slice(0, at + 1).join('/'));
}

function unusable(file: string, why: string): ToolError {
  return new ToolError('USAGE_FILE', `${file} cannot be part of an artifact: ${why}`, {
    hint: 'remove it from the folder, or name the files one by one',
  });
}
