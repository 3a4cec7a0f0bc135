import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type CallOptions, type DiffId, type Digest, IntegrityError, parseDigest } from '../../core/index.ts';
import { forEachEntry } from './decode.ts';
import type { ByteString, Entry, FileEntry } from './entry.ts';

/** What is known of a file's content once it was read. */
export interface ListedContent {
  readonly digest: Digest;
  /** Where the bytes are kept; undefined for content that nobody wanted. */
  readonly file?: string;
}

/** An entry whose content was read: its own `content` is empty. */
export interface ListedEntry {
  readonly entry: Entry;
  /** Of files. */
  readonly content?: ListedContent;
}

export interface ListOptions extends CallOptions {
  /** What the layer must be. */
  readonly diffId: DiffId;
  /** Where the content of a file is to be kept, if it is; the file must not be there. */
  readonly keep?: (path: ByteString, size: number) => string | undefined;
  /** Called for each entry; throws when there are too many. */
  readonly onEntry?: () => void;
}

const nothing: FileEntry['content'] = { kind: 'bytes', bytes: Buffer.alloc(0) };

/**
 * All that a hostile layer says, in its order, with a digest for each content. Content passes by: memory is needed for
 * names and metadata only.
 * @throws IntegrityError LAYER_DIFFID_MISMATCH; ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED
 */
export async function listLayer(tar: Readable, options: ListOptions): Promise<ListedEntry[]> {
  const { diffId, keep, onEntry, ...call } = options;
  const hash = createHash('sha256');
  const listed: ListedEntry[] = [];
  await forEachEntry(
    Readable.from(hashed(tar, hash), { objectMode: false }),
    async (entry) => {
      onEntry?.();
      if (entry.type !== 'file') {
        listed.push({ entry });
        return;
      }
      const content = await contentOf(entry, keep?.(entry.path, entry.size));
      listed.push({ entry: { ...entry, content: nothing }, content });
    },
    call,
  );
  const found = `sha256:${hash.digest('hex')}`;
  if (found === diffId) return listed;
  throw new IntegrityError('LAYER_DIFFID_MISMATCH', `a layer holds ${found}, and the image's config says ${diffId}`, {
    hint: 'the image is damaged or made to do harm; tell who published it',
  });
}

async function* hashed(tar: Readable, hash: Hash): AsyncGenerator<Buffer, void> {
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
}

async function contentOf({ content }: FileEntry, file: string | undefined): Promise<ListedContent> {
  const hash = createHash('sha256');
  const handle: FileHandle | undefined = file === undefined ? undefined : await open(file, 'wx', 0o600);
  try {
    for await (const bytes of content.kind === 'stream' ? content.stream : []) {
      hash.update(bytes);
      await handle?.writeFile(bytes);
    }
  } finally {
    await handle?.close();
  }
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), ...(file === undefined ? {} : { file }) };
}
