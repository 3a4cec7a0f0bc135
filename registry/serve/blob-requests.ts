import { constants, type ReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Digest, errorCode } from '../../core/index.ts';
import { type ByteRange, parseRange } from './byte-range.ts';
import { answer, deletableOf, type Exchange, isUnchanged } from './exchange.ts';
import { blobUnknown, RequestError } from './request-error.ts';

const readChunkBytes = 256 * 1024;

/** GET and HEAD of a blob, also in part. distribution-spec, end-2; RFC 9110 §14 */
export async function sendBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const { served, request, response } = exchange;
  if (!(await served.view.hasBlob(repository, digest))) throw blobUnknown(digest);
  // Who asks may be about to push a manifest that names it.
  served.writable?.storage.records.renewBlob(repository, digest, served.now(), served.graceMs / 4);
  const etag = `"${digest}"`;
  const headers = {
    'Docker-Content-Digest': digest,
    ETag: etag,
    'Cache-Control': 'max-age=31536000',
  };
  if (isUnchanged(exchange, etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  await using file = await openContent(served.view.blobFile(digest), digest);
  const { size } = await file.stat();
  const range = rangeOf(exchange, etag, size);
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(range === undefined ? size : range.last - range.first + 1),
    'Accept-Ranges': 'bytes',
    ...(range === undefined ? {} : { 'Content-Range': `bytes ${range.first}-${range.last}/${size}` }),
  });
  if (request.method === 'HEAD' || size === 0) response.end();
  else await pipeline(streamOf(file, range), response);
}

/** distribution-spec, end-10 */
export async function deleteBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const { storage } = deletableOf(exchange);
  if (!storage.records.unlinkBlob(repository, digest)) throw blobUnknown(digest);
  answer(exchange, 202, {});
  exchange.notify({ action: 'delete', repository, digest });
}

/** @throws RequestError BLOB_UNKNOWN where the file is missing nevertheless */
export async function openContent(file: string, digest: Digest): Promise<FileHandle> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw blobUnknown(digest);
    throw error;
  }
}

function rangeOf({ request }: Exchange, etag: string, size: number): ByteRange | undefined {
  const { range: header, 'if-range': condition } = request.headers;
  if (header === undefined || request.method !== 'GET') return undefined;
  if (condition !== undefined && condition !== etag) return undefined;
  const range = parseRange(header, size);
  if (range !== 'unsatisfiable') return range;
  const problem = { code: 'SIZE_INVALID', message: `the blob has ${size} bytes` } as const;
  throw new RequestError(416, problem, { 'Content-Range': `bytes */${size}` });
}

function streamOf(file: FileHandle, range: ByteRange | undefined): ReadStream {
  const part = range === undefined ? {} : { start: range.first, end: range.last };
  return file.createReadStream({ ...part, autoClose: false, highWaterMark: readChunkBytes });
}
