import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Descriptor, type Digest, digestHex, parseDigest, sha256, ToolError } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { openDownload, StartAgain } from './download.ts';
import { type FetchAccess, findAuthorization } from './fetch-access.ts';
import { HttpClient } from './http-client.ts';
import { isLoopback, parseHttpUrl, showUrl } from './http-url.ts';
import { findRemembered, type RememberedFile, remember, storedFile } from './remembered-file.ts';

/** A server that gives another file each time it is asked is asked no more often. */
const maxStarts = 3;
const statusEveryMs = 2000;

/**
 * Asks the network for a file: conditionally, when it is in the store already. It is in the store afterwards.
 * @throws ToolError FETCH_*
 */
export async function downloadFile(workshop: Workshop, url: string, access: FetchAccess): Promise<Descriptor> {
  await using _lock = await lockUrl(workshop, url, access);
  const known = await findRemembered(workshop, url);
  const stored = known === undefined ? undefined : await storedFile(workshop, known.digest, access);
  const file = await transfer(workshop, { url, known: stored === undefined ? undefined : known }, access);
  return file === undefined ? (stored as Descriptor) : file;
}

/**
 * The file of a digest that is known: out of the store, else from the network.
 * @throws ToolError FETCH_CHECKSUM, FETCH_*
 */
export async function verifiedFile(
  workshop: Workshop,
  url: string,
  expected: Digest,
  access: FetchAccess,
): Promise<Descriptor> {
  const stored = await storedFile(workshop, expected, access);
  if (stored !== undefined) return stored;
  await using _lock = await lockUrl(workshop, url, access);
  const meanwhile = await storedFile(workshop, expected, access);
  return meanwhile ?? ((await transfer(workshop, { url, expected }, access)) as Descriptor);
}

/** Two steps, or two processes, that want the same file load it once. */
async function lockUrl(workshop: Workshop, url: string, access: FetchAccess): Promise<AsyncDisposable> {
  const name = `fetch-${digestHex(sha256(url))}`;
  return workshop.locks.acquire(name, 'exclusive', access);
}

interface Wanted {
  readonly url: string;
  readonly known?: RememberedFile | undefined;
  readonly expected?: Digest | undefined;
}

/** Undefined when the file that is known is still the one. */
async function transfer(workshop: Workshop, wanted: Wanted, access: FetchAccess): Promise<Descriptor | undefined> {
  for (let starts = 1; ; starts++) {
    try {
      return await transferOnce(workshop, wanted, access);
    } catch (error) {
      if (!(error instanceof StartAgain)) throw error;
      if (starts >= maxStarts) {
        throw new ToolError(
          'FETCH_CHANGED',
          `${showUrl(parseHttpUrl(wanted.url))} broke off and could not be continued ${starts} times`,
          { hint: 'the server cannot resume, or changes the file all the time; try again' },
        );
      }
    }
  }
}

async function transferOnce(
  workshop: Workshop,
  { url: text, known, expected }: Wanted,
  access: FetchAccess,
): Promise<Descriptor | undefined> {
  const url = parseHttpUrl(text);
  const client = new HttpClient({
    proxies: access.proxies,
    userAgent: workshop.options.remote.userAgent ?? 'kiln',
    ...(access.stallMs === undefined ? {} : { stallMs: access.stallMs }),
  });
  const download = await openDownload(client, url, {
    signal: access.signal,
    authorization: await authorizationFor(url, access),
    known: known?.validators,
    isVerified: expected !== undefined,
    onProgress: progress(workshop, url, access),
    ...(access.retryDelayMs === undefined ? {} : { retryDelayMs: access.retryDelayMs }),
  });
  if (download.kind === 'unchanged') return undefined;
  const checked = expected === undefined ? download.bytes : checking(download.bytes, expected, url);
  const bytes = Readable.from(checked, { objectMode: false });
  const { digest, size } = await workshop.content.ingest(bytes, { signal: access.signal });
  await remember(workshop, { url: text, digest, validators: download.validators });
  return { mediaType: 'application/octet-stream', digest, size };
}

/** Fails before the store commits anything. */
async function* checking(bytes: AsyncIterable<Buffer>, expected: Digest, url: URL): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
  const found = parseDigest(`sha256:${hash.digest('hex')}`);
  if (found !== expected) throw checksumMismatch(url, expected, found);
}

function checksumMismatch(url: URL, expected: Digest, found: Digest): ToolError {
  return new ToolError('FETCH_CHECKSUM', `${showUrl(url)} is ${found}, and ${expected} was expected`, {
    hint: 'find out why the file is another one before you change its checksum, or run kiln update for one in the lock file',
  });
}

/** Nothing secret is said to a host that everybody on the way can read along with. */
async function authorizationFor(url: URL, access: FetchAccess): Promise<string | undefined> {
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) return undefined;
  return findAuthorization(url, { prefix: 'HTTP', token: (token) => `Bearer ${token}` }, access);
}

function progress(workshop: Workshop, url: URL, { onStatus }: FetchAccess) {
  const { clock } = workshop.options;
  let saidMs = clock.now();
  return (received: number, total: number | undefined) => {
    if (onStatus === undefined || clock.now() - saidMs < statusEveryMs) return;
    saidMs = clock.now();
    const share = total === undefined ? '' : ` of ${megabytes(total)}`;
    onStatus(`downloading ${url.host}${url.pathname}: ${megabytes(received)}${share}`);
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
