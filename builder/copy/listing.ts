import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type CallOptions, type Digest, parseDigest, sha256 } from '../../core/index.ts';
import type { Entry, FileEntry } from '../../runtime/index.ts';
import type { DigestCache } from './digest-cache.ts';
import { digestOfFile } from './digest-of-file.ts';
import type { FileDigests } from './file-digests.ts';
import type { Match } from './select.ts';

/** What a copy reads, file by file, as it enters the cache key: changed lines are what a miss is explained by. */
export interface Listing {
  /** `type mode time [owner] [xattrs] [size content] [target] path`, a line for each entry, in order. */
  readonly text: string;
  readonly digest: Digest;
}

/** Bytes read, each file counting for a little more than it holds, between two looks at what else there is to do. */
const breathEveryBytes = 16 * 1024 * 1024;
const fileCostBytes = 8192;

/**
 * Digests every file of a selection; unchanged context files come out of `digests` unread.
 * @throws ToolError COPY_FILE_CHANGED, COPY_SOURCE_UNREADABLE
 */
export async function listingOf(
  matches: readonly Match[],
  digests: DigestCache,
  options: CallOptions = {},
): Promise<Listing> {
  const text = new LineText();
  let cost = 0;
  for (const match of matches) {
    const known = match.folder === undefined ? undefined : await digests.of(match.folder);
    text.add(`match ${match.isDirectory ? 'directory' : 'file'} ${JSON.stringify(match.name)}`);
    for (const entry of match.entries) {
      const content = entry.type === 'file' ? contentOf(entry, known, options) : '';
      text.add(lineOf(entry, typeof content === 'string' ? content : await content));
      cost += fileCostBytes + (entry.type === 'file' ? entry.size : 0);
      if (cost < breathEveryBytes) continue;
      cost = 0;
      await setImmediate(undefined, { signal: options.signal });
    }
  }
  return text.listing();
}

/** Lines as one text, put together in portions: as pieces of 100,000 lines they would take several times the room. */
class LineText {
  readonly #hash = createHash('sha256');
  readonly #portions: string[] = [];
  #lines: string[] = [];

  add(line: string): void {
    if (this.#lines.push(line) === 1000) this.#flush();
  }

  listing(): Listing {
    this.#flush();
    const text = this.#portions.join('').slice(0, -1);
    const digest = parseDigest(`sha256:${this.#hash.digest('hex')}`);
    return { text, digest };
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    const portion = `${this.#lines.join('\n')}\n`;
    this.#hash.update(portion);
    this.#portions.push(portion);
    this.#lines = [];
  }
}

function contentOf(entry: FileEntry, known: FileDigests | undefined, options: CallOptions): string | Promise<string> {
  switch (entry.content.kind) {
    case 'disk':
      if (known === undefined) return digestOfFile(entry, entry.content, options);
      return known.digestOf(entry, entry.content, options);
    case 'bytes':
      return sha256(entry.content.bytes);
    case 'stream':
      throw new TypeError('a copied file lies on disk');
  }
}

function lineOf(entry: Entry, content: string): string {
  const path = JSON.stringify(entry.path);
  switch (entry.type) {
    case 'whiteout':
    case 'opaque':
      return `${entry.type} ${path}`;
    case 'file':
      return `file ${common(entry)} ${entry.size} ${content} ${path}`;
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

function common({ mode, mtime, uid, gid, xattrs }: Exclude<Entry, { type: 'whiteout' | 'opaque' }>): string {
  const metadata = `${mode.toString(8)} ${mtime.seconds}${uid === 0 && gid === 0 ? '' : ` ${uid}:${gid}`}`;
  if (xattrs === undefined || xattrs.size === 0) return metadata;
  const sorted = [...xattrs].map(([name, value]) => `${name}=${value.toString('base64')}`).sort();
  return `${metadata} ${JSON.stringify(sorted)}`;
}
