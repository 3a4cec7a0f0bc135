import { errorCode, ToolError } from '../../core/index.ts';
import { type ByteString, displayPath } from '../../runtime/index.ts';

/** @param what the file, or what was said of it when it was read */
export function fileChanged(what: string, cause?: unknown): ToolError {
  const sentence = cause === undefined ? `${what} changed while it was read` : what;
  return new ToolError('COPY_FILE_CHANGED', sentence, { cause, hint: 'build again when nothing writes to it' });
}

/** How many special files a message names. */
const maxNamed = 10;

export function outside(path: ByteString, tree: string): ToolError {
  return new ToolError('COPY_SOURCE_OUTSIDE', `${displayPath(path)} leads out of ${tree}`, {
    hint: 'copy the file into the context; links that leave it are not followed',
  });
}

export function linkLoop(path: ByteString, tree: string): ToolError {
  return new ToolError('COPY_SOURCE_LOOP', `${displayPath(path)} in ${tree} is a loop of symbolic links`);
}

export function unreadable(path: ByteString, tree: string, cause: unknown): ToolError {
  const code = errorCode(cause);
  const shown = displayPath(path);
  if (code === 'ENAMETOOLONG') {
    const short = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
    return new ToolError('COPY_PATH_TOO_LONG', `${short} in ${tree} lies deeper than a path can be long (4096 bytes)`, {
      cause,
      hint: 'use shorter names, or name it in the ignore file',
    });
  }
  return new ToolError('COPY_SOURCE_UNREADABLE', `cannot read ${shown === '' ? '.' : shown} in ${tree} (${code})`, {
    cause,
    hint: 'make it readable, or name it in the ignore file',
  });
}

/** @param paths of what is there, in order; at least one */
export function specialFiles(paths: readonly ByteString[], tree: string): ToolError {
  const named = paths.slice(0, maxNamed).map(displayPath).join(', ');
  const more = paths.length > maxNamed ? ` and ${paths.length - maxNamed} more` : '';
  const what = paths.length === 1 ? 'is a device or FIFO' : 'are devices or FIFOs';
  return new ToolError('COPY_SPECIAL_FILE', `${named}${more} in ${tree} ${what} and cannot be copied`, {
    hint: `remove ${paths.length === 1 ? 'it, or name it' : 'them, or name them'} in the ignore file`,
  });
}

export function unknownOwner(path: ByteString, tree: string): ToolError {
  return new ToolError(
    'COPY_OWNER_UNKNOWN',
    `${displayPath(path) || '.'} in ${tree} belongs to somebody this user may not act for, so its owner cannot be kept`,
    { hint: 'leave out preserve = ["owner"] and say owner = "UID:GID", or build as root' },
  );
}
