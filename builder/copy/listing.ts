import { createHash } from 'node:crypto';
import { type CallOptions, type Digest, parseDigest, sha256 } from '../../core/index.ts';
import type { Entry, FileEntry } from '../../runtime/index.ts';
import type { FileDigests } from './file-digests.ts';
import type { Match } from './select.ts';

/** What a copy reads, file by file, as it enters the cache key: changed lines are what a miss is explained by. */
export interface Listing {
  /** `type mode size content path`, one for each entry, in order. */
  readonly lines: readonly string[];
  readonly digest: Digest;
}

/** Digests every file of a selection; unchanged context files come out of `digests` unread. */
export async function listingOf(
  matches: readonly Match[],
  digests: FileDigests,
  options: CallOptions = {},
): Promise<Listing> {
  const lines: string[] = [];
  const hash = createHash('sha256');
  for (const match of matches) {
    lines.push(`match ${match.isDirectory ? 'directory' : 'file'} ${JSON.stringify(match.name)}`);
    for (const entry of match.entries) {
      options.signal?.throwIfAborted();
      lines.push(lineOf(entry, digests));
    }
  }
  for (const line of lines) hash.update(line).update('\n');
  return { lines, digest: parseDigest(`sha256:${hash.digest('hex')}`) };
}

/** @throws ToolError COPY_FILE_CHANGED when a file is no longer the one that was listed */
export function requireUnchanged(matches: readonly Match[], digests: FileDigests): void {
  for (const { entries } of matches) {
    for (const entry of entries) {
      if (entry.type === 'file' && entry.content.kind === 'disk') digests.requireUnchanged(entry.content.file);
    }
  }
}

function lineOf(entry: Entry, digests: FileDigests): string {
  const path = JSON.stringify(entry.path);
  switch (entry.type) {
    case 'whiteout':
    case 'opaque':
      return `${entry.type} ${path}`;
    case 'file':
      return `file ${common(entry)} ${entry.size} ${contentOf(entry, digests)} ${path}`;
    case 'symlink':
    case 'hardlink':
      return `${entry.type} ${common(entry)} ${JSON.stringify(entry.target)} ${path}`;
    case 'character':
    case 'block':
      return `${entry.type} ${common(entry)} ${entry.major}:${entry.minor} ${path}`;
    case 'directory':
    case 'fifo':
      return `${entry.type} ${common(entry)} ${path}`;
  }
}

function common(entry: Exclude<Entry, { type: 'whiteout' | 'opaque' }>): string {
  const xattrs = [...(entry.xattrs ?? [])].map(([name, value]) => `${name}=${value.toString('base64')}`).sort();
  return `${entry.mode.toString(8)} ${entry.mtime.seconds}${xattrs.length === 0 ? '' : ` ${JSON.stringify(xattrs)}`}`;
}

function contentOf(entry: FileEntry, digests: FileDigests): Digest {
  switch (entry.content.kind) {
    case 'disk':
      return digests.digestOf(entry.content.file);
    case 'bytes':
      return sha256(entry.content.bytes);
    case 'stream':
      throw new TypeError('a copied file lies on disk');
  }
}
