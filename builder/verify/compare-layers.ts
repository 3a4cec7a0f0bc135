import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { CallOptions } from '../../core/index.ts';
import { type ByteString, displayPath, type FileEntry, forEachEntry } from '../../runtime/index.ts';
import { type Attributes, entryAttributes } from './entry-attributes.ts';

/** Where two layers differ: an entry, and what of it. Values are as people read them. */
export interface EntryDifference {
  /** In the root file system, without leading `/`. */
  readonly file: string;
  /** `presence type mode uid gid mtime size content target device xattr NAME order`. */
  readonly attribute: string;
  readonly before: string;
  readonly after: string;
}

/** The first difference of two uncompressed layers in the order of paths; undefined when they do the same. */
export async function compareLayers(
  before: Readable,
  after: Readable,
  options: CallOptions = {},
): Promise<EntryDifference | undefined> {
  // Both are read to their ends before they are compared: one may have an entry that the other does not have.
  const [was, is] = [await attributesOf(before, options), await attributesOf(after, options)];
  for (const path of [...new Set([...was.keys(), ...is.keys()])].sort()) {
    const difference = compareEntries(was.get(path), is.get(path));
    if (difference !== undefined) return { file: displayPath(path), ...difference };
  }
  const [order, orderNow] = [[...was.keys()].map(displayPath), [...is.keys()].map(displayPath)];
  const at = order.findIndex((path, index) => path !== orderNow[index]);
  if (at === -1) return undefined;
  return { file: order[at] ?? '', attribute: 'order', before: order[at] ?? '', after: orderNow[at] ?? '' };
}

function compareEntries(was: Attributes | undefined, is: Attributes | undefined) {
  if (was === undefined || is === undefined) {
    return {
      attribute: 'presence',
      before: was === undefined ? 'absent' : 'there',
      after: is === undefined ? 'absent' : 'there',
    };
  }
  for (const attribute of new Set([...was.keys(), ...is.keys()])) {
    const [before = 'none', after = 'none'] = [was.get(attribute), is.get(attribute)];
    if (before !== after) return { attribute, before, after };
  }
  return undefined;
}

async function attributesOf(tar: Readable, options: CallOptions): Promise<Map<ByteString, Attributes>> {
  const found = new Map<ByteString, Attributes>();
  await forEachEntry(
    tar,
    async (entry) => {
      const content = entry.type === 'file' ? await digestOf(entry) : undefined;
      found.set(entry.path, entryAttributes(entry, content));
    },
    options,
  );
  return found;
}

async function digestOf({ content }: FileEntry): Promise<string> {
  const hash = createHash('sha256');
  if (content.kind === 'stream') for await (const bytes of content.stream) hash.update(bytes);
  else if (content.kind === 'bytes') hash.update(content.bytes);
  return `sha256:${hash.digest('hex')}`;
}
