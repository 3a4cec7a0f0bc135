import { type Descriptor, type Digest, digestHex, isDigest, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, type Entry } from '../../runtime/index.ts';
import type { Match } from '../copy/select.ts';
import type { Pins } from '../lock/pins.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { FetchAccess } from './fetch-access.ts';
import { downloadFile, verifiedFile } from './fetch-file.ts';
import type { FetchedContent, OpenContent } from './fetched-content.ts';
import { fileNameOf, parseHttpUrl, showUrl } from './http-url.ts';
import { findRemembered } from './remembered-file.ts';
import { unpackArchive } from './unpack.ts';

export interface FileSource {
  readonly url: string;
  /** `sha256:…` */
  readonly checksum?: string | undefined;
  readonly unpack: boolean;
  /** As the step has it: ends with `/` when the file needs a name of its own. */
  readonly to: string;
}

export interface FetchRules {
  readonly pins: Pins;
  /** Asks the network, whatever is remembered and whatever the pins say; a checksum still stands. */
  readonly refresh: boolean;
  /** Asks the network unless pins know. */
  readonly again: boolean;
}

/**
 * A file of the web: named by its checksum, else by the pins, else by what its URL gave before; only when none of them
 * knows it is the network asked.
 * @throws ToolError FETCH_*, LOCK_FROZEN
 */
export async function fileContent(
  workshop: Workshop,
  source: FileSource,
  rules: FetchRules,
  access: FetchAccess,
): Promise<FetchedContent> {
  const url = parseHttpUrl(source.url);
  const name = fileNameOf(url);
  if (!source.unpack && name === undefined && /(?:^|\/)\.{0,2}$/.test(source.to)) {
    throw new ToolError('FETCH_NO_NAME', `${showUrl(url)} ends without the name of a file`, {
      hint: 'say the name in `to`',
    });
  }
  const digest = await digestOf(workshop, source, rules, access);
  return {
    identity: [['content', digest], ...(source.unpack ? [['unpack', true] as const] : [['file', name ?? ''] as const])],
    open: async (options) => {
      const file = await verifiedFile(workshop, source.url, digest, { ...access, ...options });
      return source.unpack ? openArchive(workshop, file, url, options) : openFile(workshop, file, name ?? 'file');
    },
  };
}

async function digestOf(
  workshop: Workshop,
  { url, checksum }: FileSource,
  { pins, refresh, again }: FetchRules,
  access: FetchAccess,
): Promise<Digest> {
  if (checksum !== undefined) return parseChecksum(checksum);
  const pinned = refresh ? undefined : pins.find('urls', url);
  if (pinned !== undefined) return pinned;
  const known = refresh || again ? undefined : (await findRemembered(workshop, url))?.digest;
  const digest = known ?? (await downloadFile(workshop, url, access)).digest;
  pins.keep('urls', url, digest);
  return digest;
}

function parseChecksum(text: string): Digest {
  const lower = text.toLowerCase();
  if (isDigest(lower) && lower.startsWith('sha256:')) return lower;
  throw new ToolError('FETCH_CHECKSUM_INVALID', `${JSON.stringify(text.slice(0, 200))} is no checksum of a file`, {
    hint: 'write sha256: and 64 digits',
  });
}

async function openFile(workshop: Workshop, file: Descriptor, name: string): Promise<OpenContent> {
  const entry: Entry = {
    type: 'file',
    path: '' as ByteString,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1, nanoseconds: 0 },
    size: file.size,
    content: { kind: 'disk', file: Buffer.from(workshop.content.blobFile(file.digest)) },
  };
  const match: Match = { name: byteString(name), isDirectory: false, entries: [entry] };
  return { match, [Symbol.asyncDispose]: async () => {} };
}

async function openArchive(
  workshop: Workshop,
  file: Descriptor,
  url: URL,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OpenContent> {
  const scratch = await workshop.scratch();
  const folder = await scratch.make(`unpack-${digestHex(file.digest).slice(0, 8)}`);
  try {
    const archive = await unpackArchive(workshop.content.blobFile(file.digest), { ...options, folder: folder.path });
    return {
      match: { name: '' as ByteString, isDirectory: true, entries: archive.entries },
      async [Symbol.asyncDispose]() {
        await archive[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw named(error, url);
  }
}

/** What goes wrong with an archive begins with "it". */
function named(error: unknown, url: URL): unknown {
  if (!(error instanceof ToolError) || !error.code.startsWith('FETCH_')) return error;
  return new ToolError(error.code, `${showUrl(url)} cannot be unpacked: ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
